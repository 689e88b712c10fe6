"""A cell that another study has done already: its result is taken over instead of being computed again.

Another study is data, whoever wrote it: its cell must have been made from what ours would be, key by key, its
predictions must be those of our instances, and its scores are computed again from them. What does not pass is
computed here.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from instruct_ablate.cell.run.evaluation import file_name, score_block, selected
from instruct_ablate.cell.run.points import is_without_points
from instruct_ablate.cell.run.stages import baseline_rows
from instruct_ablate.cell.state.canonical import (
    as_general,
    effective,
    is_baseline,
    is_untuned,
    shown_at_test,
    under_templates,
)
from instruct_ablate.cell.state.former import UNKNOWN_ORDER, check_order_of, forms, in_another_order
from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.cell.state.record.instance_scores import completed, is_as_scored
from instruct_ablate.cell.state.record.predictions import PredictionRow, from_line, to_line
from instruct_ablate.cell.state.record.record import GENERAL, CellRecord, ScoreBlock
from instruct_ablate.cell.state.store import read_record, write_record
from instruct_ablate.cell.state.stored_config import IDENTITY, describe
from instruct_ablate.disk import learning_curve, score_curve
from instruct_ablate.disk.json_objects import load_json
from instruct_ablate.disk.whole_files import inside, read_inside, write_whole
from instruct_ablate.errors import UserError, in_a_line, with_kind
from instruct_ablate.metrics import BUILT_IN_ALONE, InstanceScore, score_all
from instruct_ablate.metrics.registry import built_in, reading_model
from instruct_ablate.metrics.scoring import with_rules
from instruct_ablate.schema import Config
from instruct_ablate.scores import agree
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.general import read_general
from instruct_ablate.tasks.languages import rule_of
from instruct_ablate.tasks.task import TaskCollection

log = logging.getLogger(__name__)
REUSE = ("none", "untuned", "all")
_NO_ROW = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Verified:
    """One test of another study's cell: its scores as computed here, and its predictions as they were read."""

    block: ScoreBlock
    predictions: str
    rows: Sequence[PredictionRow]


def take_over(config: Config, identity: Identity, folder: Path) -> CellRecord | None:
    """Copy the same cell's result from another study of this output folder; None where there is none to take.

    `reuse` says which cells: `untuned` (baselines included), `all`, or `none`.
    """
    if config.reuse == "none" or (config.reuse == "untuned" and not is_untuned(config)):
        return None
    for form, source in _sources(config, identity):
        record = read_record(source, form.hash) if source != folder else None
        if record is None or record.state != "done":
            continue
        if is_without_points(config, source):
            log.info("%s: study %s has it without scores while training", identity.name, source.parent.name)
            continue
        try:
            shaped = effective(config)
            known = check_order_of(source, identity, folder.parent)
            tested = _verified(shaped, form, source, record)
            tested += _verified_general(shaped, source, record.general)
        except Exception as fault:
            # What a metric of the user's raises, too: the cell itself fails then, and says so.
            why = (
                in_a_line(fault) if isinstance(fault, (UserError, OSError)) else with_kind(fault, longest=300)
            )
            log.warning(
                "%s: the cell of study %s is not taken over: %s", identity.name, source.parent.name, why
            )
            continue
        if not known:
            log.warning("%s: of the cell of study %s %s", identity.name, source.parent.name, UNKNOWN_ORDER)
            record = replace(record, notes=(*record.notes, UNKNOWN_ORDER))
        own = replace(record, name=identity.name, identity=identity.hash, setting=identity.setting)
        noted = identity if known else replace(identity, order="")
        return _taken(config, noted, folder, source, own, tested)
    return None


def _sources(config: Config, identity: Identity) -> Iterator[tuple[Identity, Path]]:
    """Yield the folders that may hold the cell, with the identity that it has there; today's first."""
    metrics = config.evaluation.metrics
    for form in forms(identity, metrics):
        for source in sorted(Path(config.output).glob(f"*/*-{form.hash[:8]}")):
            yield form, source
    for study in sorted(Path(config.output).glob("*/")):
        if study.name != config.study:  # there the cell itself is of any order (`as_stored`)
            yield from in_another_order(study, identity, metrics)


def _verified(config: Config, identity: Identity, source: Path, record: CellRecord) -> list[Verified]:
    """Check that a cell is ours and its scores are those of its predictions; `UserError` says what is not."""
    _check_counted(identity, source)
    templates = [template for template, _ in under_templates(config)]
    tests = [(label, shown, template) for label, shown in shown_at_test(config) for template in templates]
    given = [(one.instruction, one.key.template if len(templates) > 1 else "") for one in record.blocks]
    if [(label, template) for label, _, template in tests] != given:
        raise UserError("it was tested under other instructions or templates")
    collection = read_tasks(config.tasks, Path(config.cache))
    verified = []
    for (_, shown, template), block in zip(tests, record.blocks, strict=True):
        text, rows = _read(source, block, collection)
        if is_baseline(config):  # answers at once, and expected scores are those of no prediction
            again = baseline_rows(config, collection, shown)
            right = list(map(_text, rows)) == list(map(_text, again))
            scores = [row.score for row in again]
        else:
            right, scores = True, _scores(config, rows)
        if not right or not _is_of(block, text, rows, scores):
            raise UserError(f"{block.predictions} has other scores than its predictions have now")
        own = Verified(replace(block, predictions=file_name(block.instruction, template)), text, tuple(rows))
        verified.append(_scored_further(own, scores))
    return verified


def _verified_general(config: Config, source: Path, block: ScoreBlock | None) -> list[Verified]:
    """Check the block of general ability like those of the tests; there is none where it is not asked for."""
    own = as_general(config)
    if (own is None) != (block is None):
        raise UserError("it was held to another general ability (evaluation.general)")
    if own is None or block is None:
        return []
    collection = read_general(config.evaluation.general, Path(config.cache))
    text, rows = _read(source, block, collection)
    scores = _scores(own, rows)
    if not _is_of(block, text, rows, scores):
        raise UserError(f"{block.predictions} has other scores than its predictions have now")
    named = replace(block, instruction=GENERAL, predictions=file_name(GENERAL))
    return [_scored_further(Verified(named, text, tuple(rows)), scores)]


def _is_of(
    block: ScoreBlock, text: str, rows: Sequence[PredictionRow], scores: Sequence[InstanceScore]
) -> bool:
    """Whether a block's scores are those of its rows, and these the ones computed here.

    Their file is held against its checksum; those by earlier rules are neither held against today's nor taken over.
    """
    if not is_as_scored(block, text.encode()):
        return False
    if block.by_earlier_rules:
        return True
    agreed = all(agree(row.values, score.values) for row, score in zip(rows, scores, strict=True))
    return agreed and score_block(block.instruction, rows).scores == block.scores


def _scored_further(one: Verified, scores: Sequence[InstanceScore]) -> Verified:
    """Give the rows their scores as computed here, where the other study had other metrics, or earlier rules.

    Values of metrics that are not asked for here would be numbers without a description: of no unit and range.
    """
    ever, named = {metric.name for metric in built_in()}, list(zip(one.rows, scores, strict=True))
    known = all(
        row.get(name) is not None for row, score in named for name, _ in score.values if name not in ever
    )
    asked = all(dict(row.values).keys() <= dict(score.values).keys() for row, score in named)
    if known and asked and not one.block.by_earlier_rules:
        return one
    rows = tuple(replace(row, values=score.values) for row, score in zip(one.rows, scores, strict=True))
    block = replace(one.block, scores=score_block(one.block.instruction, rows).scores)
    return Verified(block, "".join(f"{to_line(row)}\n" for row in rows), rows)


def _text(row: PredictionRow) -> PredictionRow:
    """Return a row without what is computed from it: scores, and the word rule that an earlier version did not note."""
    return replace(row, values=(), word_rule=None)


def _check_counted(identity: Identity, source: Path) -> None:
    """Compare what two identities were made from, key by key."""
    try:
        theirs: Any = load_json(read_inside(source, IDENTITY))["counted"]
        ours = json.loads(identity.to_json())["counted"]
        other = sorted(key for key in {*ours, *theirs} if key not in theirs or ours.get(key) != theirs[key])
    except _NO_ROW as error:
        raise UserError(f"its {IDENTITY} cannot be read ({type(error).__name__})") from error
    if other:
        raise UserError(f"its identity was made from another {other[0]}")


def _read(source: Path, block: ScoreBlock, collection: TaskCollection) -> tuple[str, Sequence[PredictionRow]]:
    """Read one test's predictions, one for each instance; `UserError` where they are others."""
    references = {(task.name, one.id): one.references for task in collection.test for one in task.instances}
    text = _decoded(read_inside(source, block.predictions), block)
    rows = {row.key: row for row in _rows(text, block)}
    # Lines are counted besides: of two rows of one instance `rows` has one.
    if rows.keys() != references.keys() or text.count("\n") != len(rows):
        raise UserError(f"{block.predictions} does not hold one prediction for each instance")
    if any(row.references != references[key] for key, row in rows.items()):
        raise UserError(f"{block.predictions} has other references than the tasks")
    rules = {task.name: rule_of(task) for task in collection.test}
    predictions = with_rules(row.to_prediction() for row in rows.values())
    if any(one.prompt.word_rule != rules[one.prompt.task] for one in predictions):
        raise UserError(f"{block.predictions} was cut into words by another rule")
    return text, [rows[key] for key in references]


def _scores(config: Config, rows: Sequence[PredictionRow]) -> list[InstanceScore]:
    """Score predictions anew; refused are expected scores, which no prediction has, and lacking likelihoods."""
    if any(row.expected for row in rows):
        raise UserError("it has expected scores, which are for baselines alone")
    metrics = selected(config)
    if (names := reading_model(metrics.load())) and any(row.likelihoods is None for row in rows):
        raise UserError(f"its predictions hold no likelihoods of their references, which {names[0]} reads")
    return list(score_all([row.to_prediction() for row in rows], metrics=metrics))


def _decoded(data: bytes, block: ScoreBlock) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{block.predictions} is no text") from error


def _rows(text: str, block: ScoreBlock) -> Sequence[PredictionRow]:
    try:
        # Not `splitlines`: an answer may hold U+2028, which these lines of JSON hold unescaped.
        return [from_line(line) for line in text.split("\n") if line]
    except _NO_ROW as error:
        raise UserError(
            f"{block.predictions} holds what is no prediction ({type(error).__name__})"
        ) from error


def _taken(
    config: Config,
    identity: Identity,
    folder: Path,
    source: Path,
    record: CellRecord,
    tested: Sequence[Verified],
) -> CellRecord:
    """Write another study's cell as ours, the record last."""
    note = f"taken over from study {source.parent.name}, which had done the same cell"
    log.info("%s: %s", identity.name, note)
    describe(folder, config, identity)
    for one in tested:
        write_whole(inside(folder, one.block.predictions), one.predictions)
    for name in (learning_curve.FILE, score_curve.FILE):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            write_whole(folder / name, read_inside(source, name).decode())
    notes = tuple(dict.fromkeys((*record.notes, note)))
    metrics, own = selected(config).load(), BUILT_IN_ALONE.load()
    whole = [
        completed(folder, one.block, one.rows, own if one.block.instruction == GENERAL else metrics)
        if one.block.scoring
        else one.block
        for one in tested
    ]
    blocks = tuple(block for block in whole if block.instruction != GENERAL)
    general = next((block for block in whole if block.instruction == GENERAL), None)
    taken = replace(record, blocks=blocks, general=general, notes=notes)
    write_record(folder, taken)
    return taken
