"""Comparing two studies: what the same settings scored in one and in the other, and what was not the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from instruct_ablate.cell.state.record.record import GENERAL, CellRecord, Environment
from instruct_ablate.cell.state.setting.legend import COLUMNS, Legend
from instruct_ablate.cell.state.setting.setting import Setting, Value, write
from instruct_ablate.grid.study import Study, read_study
from instruct_ablate.plural import counted
from instruct_ablate.report.changed_predictions import changed_line, changed_predictions
from instruct_ablate.report.documents.provenance import made_with
from instruct_ablate.report.rows.columns import compared, key_headings
from instruct_ablate.report.rows.computed import ASPECTS, OWN, scored_by, with_model
from instruct_ablate.report.rows.seed_means import ABILITY, general_cells
from instruct_ablate.report.rows.trials import Trial, Trials, one_repetition, without_seeds
from instruct_ablate.report.statistics.comparison import Comparison, compare
from instruct_ablate.report.statistics.finding import interval_text, probability
from instruct_ablate.report.statistics.paired import Pairing, Side, in_some, pair
from instruct_ablate.report.statistics.templates import template_effects
from instruct_ablate.report.tables.differences import place_columns
from instruct_ablate.report.tables.tables import Table
from instruct_ablate.rounding import written

NUMBERS = ("tested on", "metric", "difference", "95 % interval", "p", "tasks", "seeds", "same")
SAID = (
    "Differences are paired by seed and task before rounding; each p is two-sided, of its line alone, and not "
    "corrected for the number of lines. (this seed): of one seed, whose interval leaves other seeds out; no test."
)
NOTHING = "not compared, for the two have no {} in common"
Tried = Mapping[Trial, Side]


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the table; what its comparison left out, and which seeds are one repetition in it."""

    texts: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    same: tuple[int, ...] = ()


def compare_studies(first: Path, second: Path) -> tuple[Table, tuple[str, ...]]:
    """Return a table of second less first for every setting both have, and lines on all that differs around them.

    Where a hyper-parameter has one value in the first and another one in the second, settings are held against each
    other in spite of it; "same" is said of none of them.
    """
    one, other = read_study(first), read_study(second)
    measures = compared((*one.cells, *other.cells))
    sides = Trials(one.cells), Trials(other.cells)
    scores, others = (side.scores for side in sides)
    apart = _apart(one.cells, other.cells)
    moved = {key for key, (here, there) in apart.items() if len(here) < 2 and len(there) < 2} - set(COLUMNS)
    pairs = _pairs(scores, others, moved)
    legend = Legend(trial.setting for trial in (*scores, *others))
    keys = place_columns(legend)
    ordered = sorted(pairs, key=lambda pair: (legend.order(pair[0].setting), pair[0].tested))
    by_pair = [list(_lines(*both, sides, measures, (legend, keys))) for both in ordered]
    lines = [line for own in by_pair for line in own]
    lines += _general_lines((one, other), moved, legend, keys)
    empty = [both for both, own in zip(ordered, by_pair, strict=True) if not own]
    mine, theirs = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
    told = (
        f"{first}: {made_with(one.cells)}",
        f"{second}: {made_with(other.cells)}",
        *(f"not the same {key}: {_texts(a, key)} against {_texts(b, key)}" for key, (a, b) in apart.items()),
        *_changed(first, one),
        *_changed(second, other),
        *_origins(one.cells, other.cells),
        *_states(one.cells, other.cells),
        *_clashing(first, sides[0]),
        *_clashing(second, sides[1]),
        *_alone(first, scores.keys() - mine, legend),
        *_alone(second, others.keys() - theirs, legend),
        *(_nothing(both, sides, legend) for both in empty),
        *in_some((line.dropped, line.same) for line in lines),
        *([SAID] if lines else []),
    )
    headings, texts = (*key_headings(keys, NUMBERS), *NUMBERS), tuple(line.texts for line in lines)
    return Table(f"{second} less {first}", headings, texts, len(keys) + 2), told


def _apart(
    cells: Sequence[CellRecord], others: Sequence[CellRecord]
) -> dict[str, tuple[set[Value], set[Value]]]:
    """Return the values that each side has, for every key of which they have not the same."""
    one, other = _values(cells), _values(others)
    keys = sorted(one.keys() | other.keys())
    both = {key: (one.get(key, set()), other.get(key, set())) for key in keys}
    return {key: sides for key, sides in both.items() if sides[0] != sides[1]} if one and other else {}


def _values(cells: Sequence[CellRecord]) -> dict[str, set[Value]]:
    found: dict[str, set[Value]] = {}
    for setting in {cell.setting for cell in cells}:
        for key, value in setting.values:
            found.setdefault(key, set()).add(value)
    return found


def _pairs(scores: Tried, others: Tried, moved: Iterable[str]) -> list[tuple[Trial, Trial]]:
    """Pair trials that are equal but for what has one value on each side, and for contents under the same names."""
    gone = set(moved)

    def place(trial: Trial) -> object:
        return tuple(pair for pair in trial.setting.values if pair[0] not in gone), trial.tested

    mine, theirs = _grouped(scores, place), _grouped(others, place)
    pairs = []
    for key in mine.keys() & theirs.keys():
        same = [(trial, trial) for trial in mine[key] if trial in theirs[key]]
        alone = len(mine[key]) == len(theirs[key]) == 1
        pairs += [(mine[key][0], theirs[key][0])] if alone else same
    return pairs


def _grouped(trials: Iterable[Trial], place: Callable[[Trial], object]) -> dict[object, list[Trial]]:
    found: dict[object, list[Trial]] = {}
    for trial in trials:
        found.setdefault(place(trial), []).append(trial)
    return found


def _general_lines(
    studies: tuple[Study, Study], moved: Iterable[str], legend: Legend, keys: Sequence[str]
) -> Iterator[_Line]:
    """Yield the lines of general ability, and of what was forgotten of it, of every setting that both have."""
    sides = Trials(general_cells(studies[0].cells)), Trials(general_cells(studies[1].cells))
    pairs = _pairs(sides[0].scores, sides[1].scores, moved)
    for mine, theirs in sorted(pairs, key=lambda pair: legend.order(pair[0].setting)):
        place = (*(legend.text(mine.setting, key) for key in keys), GENERAL)
        pairing = _paired((mine, theirs), sides, ABILITY)
        if pairing is not None:
            yield _line((*place, "general"), pairing, (mine, theirs))
        lost = [
            _lost(trial, side, study.reference)
            for trial, side, study in zip((mine, theirs), sides, studies, strict=True)
        ]
        shared = sorted(lost[0].keys() & lost[1].keys())
        seeds = list(dict.fromkeys(seed for seed, _ in shared))
        if shared:
            by_seed = [{task for one, task in shared if one == seed} for seed in seeds]
            tasks = sorted(set.intersection(*by_seed))
            names = {name for side in lost for _, (name, _) in side} - {name for name, _ in tasks}
            matrix = [[lost[1][seed, task] - lost[0][seed, task] for task in tasks] for seed in seeds]
            # Less is not open than between the trained models, whatever the untuned ones are.
            found = compare(np.array(matrix), pairing.floor if pairing else None)
            same = mine == theirs and not np.any(matrix)
            yield _Line((*place, "forgetting", *_compared(found, same)), tuple(sorted(names)))


def _lost(trial: Trial, general: Trials, reference: str) -> dict[tuple[int, tuple[str, int]], float]:
    """Return what was forgotten, by seed and task; nothing without an untuned model."""
    untuned = general.untuned(trial, reference)
    pairing = untuned and pair(general.scores[trial], general.scores[untuned], ABILITY, seedless=True)
    if not pairing:
        return {}
    tasks = list(zip(pairing.tasks, pairing.instances, strict=True))
    return {
        (seed, task): -float(pairing.differences[row, column])
        for row, seed in enumerate(pairing.seeds)
        for column, task in enumerate(tasks)
    }


def _lines(
    mine: Trial,
    theirs: Trial,
    sides: tuple[Trials, Trials],
    measures: Sequence[str],
    shown: tuple[Legend, Sequence[str]],
) -> Iterator[_Line]:
    """Yield a line a metric."""
    legend, keys = shown
    place = (*(legend.text(mine.setting, key) for key in keys), mine.tested)
    for metric in measures:
        pairing = _paired((mine, theirs), sides, metric)
        if pairing is not None:
            own = sides[1].templates.get(theirs, {}), sides[0].templates.get(mine, {})
            pairing = replace(pairing, templates=template_effects(pairing, own, metric))
            yield _line((*place, metric), pairing, (mine, theirs))


def _nothing(both: tuple[Trial, Trial], sides: tuple[Trials, Trials], legend: Legend) -> str:
    """Say why a pair has no line: without a seed in common no task was looked at."""
    seeds = set.intersection(*(set(side.scores[trial]) for side, trial in zip(sides, both, strict=True)))
    why = NOTHING.format("task" if seeds else "seed") + (" with as many instances" if seeds else "")
    return f"{why}: {_name(both[0].setting, legend)}, tested on {both[0].tested}"


def _paired(both: tuple[Trial, Trial], sides: tuple[Trials, Trials], metric: str) -> Pairing | None:
    """Pair the second study's cells with those of the first."""
    mine, theirs = both
    once = one_repetition((sides[1], theirs), (sides[0], mine))
    return pair(sides[1].scores[theirs], sides[0].scores[mine], metric, once=once)


def _line(place: tuple[str, ...], pairing: Pairing, both: tuple[Trial, Trial]) -> _Line:
    """Test a pairing; the same is what has the same setting and the same scores."""
    seedless = all(map(without_seeds, both))
    found = compare(pairing.differences, pairing.floor, seedless=seedless, templates=pairing.templates)
    same = both[0] == both[1] and not pairing.differences.any()
    return _Line((*place, *_compared(found, same)), pairing.dropped, pairing.same)


def _compared(comparison: Comparison, same: bool) -> tuple[str, ...]:
    p = math.nan if comparison.one_seed else comparison.p_difference  # one seed decides nothing
    told = interval_text(comparison), probability(p), str(comparison.units), str(comparison.seeds)
    return written(comparison.mean, signed=True), *told, "yes" if same else "no"


def _origins(cells: Sequence[CellRecord], others: Sequence[CellRecord]) -> Iterator[str]:
    """Tell what was not the same when both were made."""
    for name, of in _ORIGINS.items():
        one, other = ({of(cell) for cell in side if cell.state == "done"} - {""} for side in (cells, others))
        if one and other and one != other:
            yield f"not the same {name}: {', '.join(sorted(one))} against {', '.join(sorted(other))}"
        elif moved := _moved(cells, others, of):
            both = ", ".join(sorted(one))
            yield f"not the same {name} in {counted(moved, 'cell')} that both have done, though both have {both}"


def _moved(cells: Sequence[CellRecord], others: Sequence[CellRecord], of: Callable[[CellRecord], str]) -> int:
    """Count the cells that both have done of which something is not the same."""
    own = {(cell.setting, cell.seed): of(cell) for cell in cells if cell.state == "done"}
    theirs = {(cell.setting, cell.seed): of(cell) for cell in others if cell.state == "done"}
    return sum(
        bool(own[key] and theirs[key]) and own[key] != theirs[key] for key in own.keys() & theirs.keys()
    )


def _states(cells: Sequence[CellRecord], others: Sequence[CellRecord]) -> Iterator[str]:
    """Tell which cells are done in one study alone."""
    states = {(cell.setting, cell.seed): cell.state for cell in cells}
    for cell in others:
        before = states.get((cell.setting, cell.seed), cell.state)
        if before != cell.state:
            yield f"{cell.name}: {before} in the first, {cell.state} in the second"


def _of_environment(of: Callable[[Environment], str]) -> Callable[[CellRecord], str]:
    """Read something of what a cell ran with; nothing where no model was asked here, or where it was not noted."""
    return lambda cell: next((of(made) for _, made in with_model([cell])), "")


def _scoring(cell: CellRecord) -> str:
    # Cells that were scored again note their metrics in another order.
    return ", ".join(f"{name} {value}" for name, value in sorted(scored_by(cell).items(), reverse=True))


_ORIGINS: dict[str, Callable[[CellRecord], str]] = {
    # Of predictions that were imported in part it is the part's, which the record's own hash of the data is not.
    "data hash": lambda cell: cell.setting.revision("tasks") or cell.data_hash or "unknown",
    "checkpoint": lambda cell: cell.setting.revision("model"),
    "extensions": lambda cell: cell.setting.revision("extensions"),
    "scoring": _scoring,
    "commit": lambda cell: (cell.environment.commit if cell.environment else None) or "unknown",
    f"version of {OWN}": lambda cell: (
        dict(cell.environment.versions).get(OWN, "") if cell.environment else ""
    ),
    **{name: _of_environment(of) for name, of in ASPECTS.items()},
}


def _texts(values: Iterable[Value], key: str) -> str:
    return ", ".join(sorted(write(value, key) for value in values)) or "(no such key)"


def _changed(given: Path, study: Study) -> Iterator[str]:
    """Tell which predictions of a study are no longer those that were scored."""
    if told := changed_line(changed_predictions(study)):
        yield f"not the predictions that were scored, in {given}: {told}"


def _clashing(study: Path, side: Trials) -> Iterator[str]:
    """Tell which cells of a study no mean can be of: nobody can say which are meant, or of what it would be."""
    for names, why in dict.fromkeys((names, side.why(trial)) for trial, names in side.clashes.items()):
        yield f"left out, in {study} {why}: {', '.join(names)}"


def _alone(study: Path, trials: Iterable[Trial], legend: Legend) -> Iterator[str]:
    for trial in sorted(trials, key=lambda trial: (legend.order(trial.setting), trial.tested)):
        yield f"only in {study}: {_name(trial.setting, legend)}, tested on {trial.tested}"


def _name(setting: Setting, legend: Legend) -> str:
    return legend.place(setting, always=("model", "data_budget", "instruction"))
