"""Rows of the main table: one per setting and test instruction, meaned over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from instruct_ablate.cell.state.record.record import GENERAL, CellRecord
from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.instruction.shortage import told_shortages
from instruct_ablate.metrics import Scores, find_measure
from instruct_ablate.metrics.measures import measure_names
from instruct_ablate.prompt.lengths import Shares
from instruct_ablate.report.rows.budgets import unmet_budgets, unmet_tasks
from instruct_ablate.report.rows.computed import scored_by, way
from instruct_ablate.report.rows.lengths import lengths_in_tests, lengths_in_training
from instruct_ablate.report.rows.trials import Trial, Trials, one_repetition
from instruct_ablate.report.statistics.paired import one_for_all, pair, task_values

ABILITY = "exact_match"  # what general ability is: the share of questions whose right choice is the likeliest


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over seeds with its standard deviation (None for a single seed)."""

    value: float
    deviation: float | None
    seeds: int


@dataclass(frozen=True, slots=True)
class Over:
    """How much a mean is over: test tasks of a kind, and their instances, in one cell."""

    kind: str
    tasks: int
    instances: int


@dataclass(frozen=True, slots=True)
class Row:
    """One row: means over the seeds that are done, differences on the seeds both sides have.

    `means` by the measure's name; a row with a clash has none, for nobody can say which of the cells is meant.
    """

    setting: Setting
    tested: str
    seeds: tuple[int, ...] = ()
    means: tuple[tuple[str, Mean], ...] = ()
    to_reference: Mean | None = (
        None  # exact match (ROUGE-L without classification) less the reference variant's
    )
    to_untuned: Mean | None = None
    clash: tuple[str, ...] = ()  # cells that are the same setting with the same seed
    uneven: bool = False  # or that are seeds of one setting, and not tested on the same tasks and instances
    unfinished: tuple[tuple[str, int], ...] = ()  # cells of this setting by state, other than done
    templates: int = 1  # that the scores are means over
    over: frozenset[Over] = frozenset()  # what the means are over, in every seed
    general: Mean | None = None  # general ability (`evaluation.general`), the same in every test of a setting
    forgetting: Mean | None = None  # the untuned model's less this one's
    ways: tuple[str, ...] = ()  # precision and device of the cells that it is a mean of
    scored: tuple[tuple[str, str], ...] = ()  # what these were scored by: versions and files, by name
    unmet: float | None = None  # what a budget came to that was not met, per task or in all
    shortages: tuple[str, ...] = ()  # which tasks had fewer examples than an instruction is to show
    same: tuple[
        int, ...
    ] = ()  # seeds with the same answers; `seeds` has the first alone where they count as one
    unmet_tasks: float | None = None  # how many tasks were trained on, where more were asked for
    lengths: tuple[Shares, ...] = ()  # what limits on lengths took from each test
    lengths_in_training: tuple[Shares, ...] = ()  # and from each training

    def mean(self, measure: str) -> Mean | None:
        """Return the mean of a measure; None where it is not defined or nothing is done."""
        return dict(self.means).get(measure)


def headline(scores: Scores) -> tuple[str, float] | None:
    """Exact match where there are classification tasks, else ROUGE-L, by name: what differences are taken of."""
    values = ((name, find_measure(name).value(scores)) for name in ("exact_match", "generation_rougeL"))
    return next(((name, value) for name, value in values if value is not None), None)


def build_rows(cells: Iterable[CellRecord], reference: str = "original") -> tuple[Row, ...]:
    """Gather cells into rows, untuned and reference settings first."""
    every = tuple(cells)
    trials, unfinished = Trials(every), _unfinished(every)
    general = Trials(general_cells(every))
    legend = Legend(cell.setting for cell in every)
    order = sorted(
        {*trials.scores, *trials.clashes, *unfinished},
        key=lambda trial: (legend.order(trial.setting, reference), trial.tested),
    )
    rows = (_row(trial, trials, unfinished.get(trial, {}), reference) for trial in order)
    ways, scored = _ways(every), _scored(every)
    unmet, fewer, short = unmet_budgets(every), unmet_tasks(every), _shortages(every)
    in_tests, in_training = lengths_in_tests(every), lengths_in_training(every)
    return tuple(
        replace(
            _with_general(row, general, reference),
            ways=ways.get(row.setting, ()),
            scored=scored.get(row.setting, ()),
            unmet=unmet.get(row.setting),
            unmet_tasks=fewer.get(row.setting),
            shortages=short.get(row.setting, ()),
            lengths=in_tests.get(Trial(row.setting, row.tested), ()),
            lengths_in_training=in_training.get(row.setting, ()),
        )
        for row in rows
    )


def _ways(cells: Sequence[CellRecord]) -> dict[Setting, tuple[str, ...]]:
    """Return in which ways the done cells of each setting were computed."""
    found: dict[Setting, set[str]] = {}
    for cell in cells:
        if own := way(cell):
            found.setdefault(cell.setting, set()).add(own)
    return {setting: tuple(sorted(ways)) for setting, ways in found.items()}


def _scored(cells: Sequence[CellRecord]) -> dict[Setting, tuple[tuple[str, str], ...]]:
    """Return by what the done cells of each setting were scored."""
    found: dict[Setting, set[tuple[str, str]]] = {}
    for cell in cells:
        if cell.state == "done":
            found.setdefault(cell.setting, set()).update(scored_by(cell).items())
    return {setting: tuple(sorted(scored)) for setting, scored in found.items()}


def _shortages(cells: Sequence[CellRecord]) -> dict[Setting, tuple[str, ...]]:
    """Return what the done cells of each setting note of examples that tasks do not have."""
    found: dict[Setting, dict[str, None]] = {}
    for cell in cells:
        if cell.state == "done":
            found.setdefault(cell.setting, {}).update(dict.fromkeys(told_shortages(cell.notes)))
    return {setting: tuple(lines) for setting, lines in found.items()}


def general_cells(cells: Iterable[CellRecord]) -> list[CellRecord]:
    """Return the done cells with their general ability in the place of their tests."""
    return [
        replace(cell, blocks=(cell.general,), general=None)
        for cell in cells
        if cell.state == "done" and cell.general is not None
    ]


def _with_general(row: Row, general: Trials, reference: str) -> Row:
    trial = Trial(row.setting, GENERAL)
    if row.clash or trial not in general.scores:
        return row
    ability, lost = general_mean(trial, general), forgotten(trial, general, reference)
    return replace(row, general=ability, forgetting=lost)


def general_mean(trial: Trial, general: Trials) -> Mean | None:
    """Return the general ability of a setting over seeds; `general` are the trials of `general_cells`."""
    value = find_measure(ABILITY).value
    return _mean([value(scores) for scores in general.counted(trial).values()])


def forgotten(trial: Trial, general: Trials, reference: str) -> Mean | None:
    """Return what the untuned model scores more, seed by seed; None without one, and of an untuned model."""
    untuned = general.untuned(trial, reference)
    pairing = untuned and pair(general.scores[trial], general.scores[untuned], ABILITY, seedless=True)
    return _mean([-float(by_task.mean()) for by_task in pairing.differences]) if pairing else None


def _unfinished(cells: Sequence[CellRecord]) -> dict[Trial, dict[str, int]]:
    """Count by state what is not done, under each instruction that it is to be tested with."""
    counts: dict[Trial, dict[str, int]] = {}
    for cell in cells:
        for tested in cell.setting.tests if cell.state != "done" else ():
            states = counts.setdefault(Trial(cell.setting, tested), {})
            states[cell.state] = states.get(cell.state, 0) + 1
    return counts


def _row(trial: Trial, trials: Trials, unfinished: Mapping[str, int], reference: str) -> Row:
    counts = tuple(sorted(unfinished.items()))
    if clash := trials.clashes.get(trial, ()):
        uneven = trial in trials.uneven
        return Row(trial.setting, trial.tested, clash=clash, uneven=uneven, unfinished=counts)
    done = trial in trials.scores
    own, same = (trials.counted(trial), trials.same(trial)) if done else ({}, ())
    measures = [find_measure(name) for name in measure_names()]
    means = {measure.name: _mean([measure.value(one) for one in own.values()]) for measure in measures}
    beside, untuned = trials.reference(trial, reference), trials.untuned(trial, reference)
    if trial.setting.untuned:
        beside = None  # the table's difference to the reference is of training
    return Row(
        trial.setting,
        trial.tested,
        tuple(sorted(own)),
        tuple((name, mean) for name, mean in means.items() if mean is not None),
        to_reference=_difference(trials, trial, beside),
        to_untuned=_difference(trials, trial, untuned),
        unfinished=counts,
        templates=len(trials.templates.get(trial, ())) or 1,
        over=frozenset(one for scores in own.values() for one in _over(scores)),
        same=same,
    )


def _over(scores: Scores) -> Iterator[Over]:
    for kind in dict.fromkeys(task.kind for task in scores.tasks):
        counts = [task.score.instances for task in scores.tasks if task.kind == kind]
        yield Over(kind, len(counts), sum(counts))


def _mean(values: Sequence[float | None]) -> Mean | None:
    present = [value for value in values if value is not None]
    if not present:
        return None
    deviation = statistics.stdev(present) if len(present) > 1 else None
    return Mean(statistics.fmean(present), deviation, len(present))


def _difference(trials: Trials, trial: Trial, opposite: Trial | None) -> Mean | None:
    """Mean of differences paired by seed; a seedless side (the untuned model) is paired with every seed.

    Of seeds that are one repetition the first that both have counts, as in all tests. Means over other tasks, or over
    other numbers of their instances, have no difference.
    """
    if opposite is None:
        return None
    own, other = trials.scores.get(trial, {}), trials.scores[opposite]
    alone = one_for_all(other) if trials.stands_for_all(opposite) else None
    once = one_repetition((trials, trial), (trials, opposite))
    differences = []
    for seed, scores in own.items():
        beside = other.get(seed, alone)
        ours, theirs = headline(scores), headline(beside) if beside else None
        if beside is not None and ours is not None and theirs is not None:
            name, value = ours
            if task_values(scores, name).keys() == task_values(beside, name).keys():
                differences.append(value - theirs[1])
    return _mean(differences[:1] if once else differences)
