"""Recompute scores from saved predictions, without models, after a metric has changed.

The earlier record stays beside the new one as `record.<n>.json`. Prediction files and record are each renamed
into place, the record last: stopped in between, the same command finishes the work.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from instruct_ablate.cell.after.hashed_setting import setting_fault
from instruct_ablate.cell.mirror.loggers import guarded
from instruct_ablate.cell.mirror.wandb_export import tell_again
from instruct_ablate.cell.state.lock import LockedError, locked
from instruct_ablate.cell.state.record.instance_scores import columns_hold, completed, is_as_scored
from instruct_ablate.cell.state.record.predictions import PredictionRow, read_predictions, to_line
from instruct_ablate.cell.state.record.record import GENERAL, SCORING, CellRecord, ScoreBlock
from instruct_ablate.cell.state.store import RECORD, read_record, write_record
from instruct_ablate.cell.state.stored_config import stored_flag, stored_number, stored_texts
from instruct_ablate.configuration.extensions import admit
from instruct_ablate.disk.whole_files import inside, read_plain, write_whole
from instruct_ablate.errors import UserError, in_a_line
from instruct_ablate.metrics import (
    BUILT_IN_ALONE,
    InstanceScore,
    Metric,
    Score,
    Selection,
    aggregate,
    score_predictions,
)
from instruct_ablate.metrics.registry import check_whole, packaged, reading_model
from instruct_ablate.metrics.scoring import with_rules
from instruct_ablate.metrics.segmentation import word_notes
from instruct_ablate.plural import counted
from instruct_ablate.scores import NO_SCORE, MetricDescription


@dataclass(frozen=True, slots=True)
class Rescored:
    """What became of one cell: scores before and after per test instruction, or why it was left.

    The overall score of each where a cell was scored again, every mean where it was checked.
    """

    name: str
    blocks: tuple[tuple[str, Score, Score], ...] = ()
    left: str = ""
    stayed: tuple[str, ...] = ()  # metrics whose values stay, for there is no code of them here
    needs_model: tuple[str, ...] = ()  # metrics that have no values, for the predictions hold no likelihoods
    edited: tuple[
        str, ...
    ] = ()  # files of predictions, or of single scores, that are not those of the earlier scores
    rules: int = 0  # the version of the rules by which it was scored, where that is an earlier one
    misplaced: str | None = (
        None  # where a checked record's setting is not the hashed one; None: not checked, or nothing was hashed
    )
    unheld: bool = False  # it may stand in tables, and could not be held against its predictions
    mirrored: bool = False  # its W&B run is told the new scores, once they are uploaded

    @property
    def changed(self) -> bool:
        """Whether any score differs from the earlier one, or is over others; a metric that is new changes none."""
        return any(
            (before.name, before.instances) != (after.name, after.instances)
            or any(after.get(name) != value for name, value in before.values)
            for _, before, after in self.blocks
        )


def rescore_study(
    study: Path, metrics: Selection = BUILT_IN_ALONE, trust: bool = False
) -> tuple[Rescored, ...]:
    """Rescore every done cell of a study by `metrics` and by those of each cell's own configuration.

    Their code must have been loaded by this command; `trust` loads it from where the study says. What a metric of
    which there is no code here gave before stays as it is.
    """
    folders = sorted(path.parent for path in study.glob(f"*/{RECORD}"))
    if not folders:
        raise UserError(f"no cells under {study}. Give the folder of a study, such as multirun/NAME.")
    metrics.load()  # what this command names and is not there is told once, before any cell is touched
    return tuple(rescore_cell(folder, metrics, trust) for folder in folders)


def rescore_cell(folder: Path, metrics: Selection = BUILT_IN_ALONE, trust: bool = False) -> Rescored:
    """Rescore one cell, unless it is not done or somebody is at work on it."""
    record = read_record(folder)  # before we hold the lock ourselves: a lock that is held says "running"
    if record is None or record.state != "done":
        return _not_done(folder, record)
    try:
        with locked(folder):
            record = read_record(folder)
            if record is None or record.state != "done":
                return _not_done(folder, record)
            return _rescored(folder, record, _loaded(folder, metrics, trust))
    except (LockedError, UserError) as fault:
        return Rescored(folder.name, left=str(fault))


def _not_done(folder: Path, record: CellRecord | None) -> Rescored:
    return Rescored(folder.name, left=f"is {record.state if record else 'unreadable'}")


def check_cell(folder: Path, metrics: Selection = BUILT_IN_ALONE, trust: bool = False) -> Rescored:
    """Compute a done cell's scores again from its predictions, every mean of them, and write nothing."""
    record = read_record(folder)
    if record is None or record.state != "done":
        return replace(_not_done(folder, record), unheld=record is None)
    misplaced = setting_fault(folder, record)
    try:
        loaded = _with_scored(record, _loaded(folder, metrics, trust))
        pairs = [(block, *_block(folder, block, _of(block, loaded))) for block in record.every_block]
        columns = (old.instances for old, _, rows in pairs if not columns_hold(folder, old, rows))
        edited = (*_edited(folder, record), *columns)
    except (UserError, OSError) as fault:
        return Rescored(folder.name, left=in_a_line(fault), misplaced=misplaced, unheld=True)
    scores = (
        (old.instruction, before, after)
        for old, new, _ in pairs
        for before, after in itertools.zip_longest(old.scores.every, new.scores.every, fillvalue=NO_SCORE)
    )
    strange = dict.fromkeys(one.name for old, _, _ in pairs for one in _strange(old, _of(old, loaded)))
    rules = min((block.scoring for block in record.every_block if block.by_earlier_rules), default=0)
    return Rescored(
        folder.name, tuple(scores), stayed=tuple(strange), edited=edited, rules=rules, misplaced=misplaced
    )


def _with_scored(record: CellRecord, metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
    """Add the package's further metrics that a done cell was scored by later (`rescore --metric`)."""
    known = {metric.name for metric in metrics}
    names = dict.fromkeys(one.name for block in record.blocks for one in block.metrics)
    return (*metrics, *packaged(name for name in names if name not in known))


def _of(block: ScoreBlock, metrics: Sequence[Metric]) -> Sequence[Metric]:
    """Return what a block is scored by: general ability by the built-in metrics alone, whatever a cell's tests are."""
    return BUILT_IN_ALONE.load() if block.instruction == GENERAL else metrics


def is_behind(record: CellRecord, metrics: Selection) -> bool:
    """Whether a done cell lacks a metric that it is asked for now, or was scored by an earlier version.

    That of a metric of the user's own is its file; of an early record nobody knows which one that was.
    """
    asked = {metric.name: metric.code for metric in metrics.load() if not metric.is_built_in}
    scored = [{metric.name: metric.code for metric in block.metrics} for block in record.blocks]
    return any(block.by_earlier_rules for block in record.every_block) or any(
        name not in one or (one[name] and code and one[name] != code)
        for one in scored
        for name, code in asked.items()
    )


def lacks_model(record: CellRecord, metrics: Selection) -> tuple[str, ...]:
    """Name the metrics that a done cell is asked for and has no value of, because only its model could tell."""
    return tuple(
        name
        for name in reading_model(metrics.load())
        if any(block.scores.overall.get(name) is None for block in record.blocks)
    )


def model_needed(names: Sequence[str]) -> str:
    """Say why metrics that read the model have no value, and what gives them one."""
    return (
        f"{', '.join(names)} needs the model, which is asked when a cell predicts: these predictions hold no "
        "likelihoods, and the value is – (a cell whose folder is removed is run again; baselines and imports have none)"
    )


def _rescored(folder: Path, record: CellRecord, metrics: Sequence[Metric]) -> Rescored:
    every = record.every_block
    new = tuple(_block(folder, block, _of(block, metrics)) for block in every)
    edited = _edited(folder, record)
    result = Rescored(
        folder.name,
        tuple(
            (old.instruction, old.scores.overall, after.scores.overall)
            for old, (after, _) in zip(every, new, strict=True)
        ),
        stayed=tuple(
            dict.fromkeys(one.name for block, _ in new for one in _strange(block, _of(block, metrics)))
        ),
        needs_model=reading_model(metrics)
        if any(_lacks_likelihoods(rows) for block, rows in new if block.instruction != GENERAL)
        else (),
        edited=tuple(edited),
    )
    if tuple(block for block, _ in new) == every and not edited:
        return result
    write_whole(_next_name(folder), read_plain(folder / RECORD).decode())
    blocks = []
    for block, rows in new:
        write_whole(inside(folder, block.predictions), "".join(to_line(row) + "\n" for row in rows))
        whole = completed(folder, block, rows, _of(block, metrics))
        blocks.append(replace(whole, metrics=block.metrics))
    notes = (
        f"test, {record.test_name(block)}: {note}"
        for block, rows in new
        for note in word_notes(row.to_prediction().prompt for row in rows)
    )
    notes_now = tuple(dict.fromkeys((*record.notes, *notes, *edited.values())))
    general = blocks.pop() if record.general else None  # the last of `every_block`
    scored = replace(record, blocks=tuple(blocks), general=general, notes=notes_now)
    write_record(folder, scored)
    mirrored = False
    with guarded("W&B"):
        mirrored = tell_again(folder, scored)
    return replace(result, mirrored=mirrored)


def waiting_runs(count: int, study: Path) -> str:
    """Say that so many W&B runs have earlier scores until they are uploaded."""
    return f"the new scores of {counted(count, 'W&B run')} wait for `instruct-ablate sync {study}`"


def _edited(folder: Path, record: CellRecord) -> dict[str, str]:
    """Return what to note of each predictions file that somebody has changed since its scores were computed."""
    if _was_stopped(folder):
        return {}  # the last rescoring wrote some of them
    return {
        block.predictions: f"test, {record.test_name(block)}: {block.predictions} was changed after it was scored, by "
        "no command of this package; its present scores are of the changed file"
        for block in record.every_block
        if not is_as_scored(block, read_plain(inside(folder, block.predictions)))
    }


def _was_stopped(folder: Path) -> bool:
    """Whether a rescoring ended before its record was written: the earlier record then stands there twice."""
    copies = _copies(folder)
    try:
        return bool(copies) and read_plain(copies[-1]) == read_plain(folder / RECORD)
    except (OSError, UserError):
        return False  # no copy of ours has that name


def _block(
    folder: Path, block: ScoreBlock, metrics: Sequence[Metric]
) -> tuple[ScoreBlock, list[PredictionRow]]:
    order = {task.score.name: place for place, task in enumerate(block.scores.tasks)}
    found = read_predictions(inside(folder, block.predictions))  # in the order in which they were answered
    if len({row.key for row in found}) != len(found) or len(found) != block.scores.overall.instances:
        raise UserError(
            f"{block.predictions} is damaged: it holds {len(found)} predictions, "
            f"and the record has scores of {block.scores.overall.instances}"
        )
    rows = sorted(found, key=lambda row: order.get(row.task, len(order)))
    predictions = with_rules(row.to_prediction() for row in rows)
    if _lacks_likelihoods(rows):  # no mean over some
        predictions = tuple(replace(one, likelihoods=None) for one in predictions)
    fresh, names = score_predictions(predictions, metrics), {metric.name for metric in metrics}
    scores = [
        row.score if row.expected else _joined(row, score, names)
        for row, score in zip(rows, fresh, strict=True)
    ]
    renewed = [
        replace(row, values=score.values, word_rule=one.prompt.word_rule)
        for row, score, one in zip(rows, scores, predictions, strict=True)
    ]
    own = (*(metric.description for metric in metrics if not metric.is_built_in), *_strange(block, metrics))
    return replace(block, scores=aggregate(predictions, scores), metrics=own, scoring=SCORING), renewed


def _lacks_likelihoods(rows: Sequence[PredictionRow]) -> bool:
    return any(row.likelihoods is None for row in rows)


def _joined(row: PredictionRow, score: InstanceScore, known: Collection[str]) -> InstanceScore:
    """Return new values, and the former ones of metrics of which there is no code here."""
    return InstanceScore((*score.values, *(pair for pair in row.values if pair[0] not in known)))


def _strange(block: ScoreBlock, metrics: Sequence[Metric]) -> tuple[MetricDescription, ...]:
    """Return the metrics of a block that are not loaded here."""
    known = {metric.name for metric in metrics}
    return tuple(one for one in block.metrics if one.name not in known)


def _loaded(folder: Path, metrics: Selection, trust: bool) -> tuple[Metric, ...]:
    """Load what a cell is scored by; where its answers were cut, a metric of whole answers is refused."""
    loaded = _selected(folder, metrics, trust).load()
    slack = stored_number(folder, "evaluation", "answer_slack")
    check_whole(loaded, stored_flag(folder, "evaluation", "cut_wrong_answers"), slack)
    return loaded


def _selected(folder: Path, metrics: Selection, trust: bool) -> Selection:
    """Add the further metrics of the cell's configuration, where their code may run; named ones stand alone."""
    if metrics.names:
        return metrics
    names, files = stored_texts(folder, "evaluation", "metrics"), stored_texts(folder, "extensions")
    admit(names, files, trust, f"instruct-ablate rescore {folder.parent}")
    return Selection(tuple(names), (*metrics.files, *(files if trust else ())))


def _copies(folder: Path) -> list[Path]:
    """Return the earlier records, oldest first."""
    names = (folder / f"record.{number}.json" for number in itertools.count(1))
    return list(itertools.takewhile(Path.exists, names))


def _next_name(folder: Path) -> Path:
    return folder / f"record.{len(_copies(folder)) + 1}.json"
