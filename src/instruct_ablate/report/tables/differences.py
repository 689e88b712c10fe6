"""Differences: every setting against the reference variant, with intervals and corrected p-values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.grid.study import Study
from instruct_ablate.metrics import find_measure
from instruct_ablate.plural import counted
from instruct_ablate.report.rows.columns import COMPARED, compared, key_headings
from instruct_ablate.report.rows.single_scores import SingleScores
from instruct_ablate.report.rows.trials import Trial, Trials, one_repetition, without_seeds
from instruct_ablate.report.statistics.comparison import Comparison, holm
from instruct_ablate.report.statistics.finding import interval_text, points, probability
from instruct_ablate.report.statistics.paired import Pairing, in_some, pair
from instruct_ablate.report.statistics.power import Design, detectable, equal_margin
from instruct_ablate.report.statistics.tried import Tried, compare_all
from instruct_ablate.report.statistics.variance.permutation import REPLICATES
from instruct_ablate.report.tables.tables import Table
from instruct_ablate.rounding import written

MARGIN = 2.0  # points; what "equivalent" means in the table of differences


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting less its reference on one metric; p-values are Holm-adjusted over the table."""

    trial: Trial
    reference: Trial
    metric: str
    pairing: Pairing
    comparison: Comparison
    p_difference: float
    p_equivalence: float


def differences(
    cells: Sequence[CellRecord],
    reference: str,
    columns: Sequence[str] = (),
    scores: SingleScores | None = None,
) -> tuple[Difference, ...]:
    """Compare every setting with its counterpart under the reference variant, as trained or else tested alike."""
    found = _paired(cells, reference, compared(cells, columns), scores or SingleScores())
    tested = _compared(found)
    # One seed decides nothing, so it is no test to correct for either.
    unequal = holm([math.nan if one.one_seed else one.p_difference for one in tested])
    equal = holm(  # the margin is one of points
        [
            one.p_equivalence(MARGIN) if pairing.percent and not one.one_seed else math.nan
            for (*_, pairing), one in zip(found, tested, strict=True)
        ]
    )
    every = zip(found, tested, unequal, equal, strict=True)
    return tuple(Difference(*parts, comparison, p, q) for parts, comparison, p, q in every)


Found = tuple[Trial, Trial, str, Pairing]


def _paired(
    cells: Sequence[CellRecord], reference: str, measures: Sequence[str], scores: SingleScores
) -> list[Found]:
    """Pair every setting with its counterpart on these measures, in the order of tables."""
    trials, legend, found = Trials(cells), Legend(cell.setting for cell in cells), []
    for trial in sorted(
        trials.scores, key=lambda trial: (legend.order(trial.setting, reference), trial.tested)
    ):
        opposite = trials.reference(trial, reference)
        if opposite is None:
            continue
        for metric in measures:
            ours, theirs = trials.scores[trial], trials.scores[opposite]
            seedless = trials.stands_for_all(opposite) and not set(ours) <= set(theirs)
            once = one_repetition((trials, trial), (trials, opposite))
            pairing = pair(ours, theirs, metric, seedless=seedless, once=once)
            if pairing is not None:
                paired = trials.over_templates(pairing, (trial, opposite), metric)
                found.append((trial, opposite, metric, scores.added(paired, (trial, opposite), metric)))
    return found


def _compared(found: Sequence[Found]) -> list[Comparison]:
    """Compare metric by metric, for seeds are pooled within one."""
    compared: dict[int, Comparison] = {}
    for metric in dict.fromkeys(name for _, _, name, _ in found):
        own = [index for index, (_, _, name, _) in enumerate(found) if name == metric]
        compared.update(zip(own, compare_all([_tried(found[index]) for index in own]), strict=True))
    return [compared[index] for index in range(len(found))]


def _tried(pair: Found) -> Tried:
    trial, opposite, _, pairing = pair
    return Tried(pairing, opposite, seedless=without_seeds(trial) and without_seeds(opposite))


def measured_designs(studies: Iterable[Study]) -> list[Design]:
    """Return the designs of studies' comparisons that can say something, on the first metric that each study has.

    What several studies have (a copy, cells that were taken over) is one comparison. How seeds and tasks vary is in
    the means: no file of single scores is read, and designs have no floor of theirs.
    """
    found: dict[object, Design] = {}
    for study in studies:
        for metric in COMPARED:
            pairs = _paired(study.cells, study.reference, (metric,), SingleScores())
            compared = zip(pairs, _compared(pairs), strict=True)
            designs: dict[object, Design] = {
                (*pair[:3], pair[3].seeds, one.design): one.design
                for pair, one in compared
                if one.seeds > 1 and _moves(pair)
            }
            if designs:
                found |= designs
                break
    return list(found.values())


def measures(item: Difference) -> bool:
    """Whether a difference has measured how seeds vary, where scores can move at all."""
    return item.comparison.seeds > 1 and _moves((item.trial, item.reference, item.metric, item.pairing))


def _moves(pair: Found) -> bool:
    return _tried(pair).uninformative is None


def place_columns(legend: Legend) -> tuple[str, ...]:
    """Name the keys that say in a table of pairs which setting a line is of; the variant stands last."""
    further = (key for key in legend.keys if key not in ("model", "data_budget", "instruction"))
    return "model", "data_budget", *further, "instruction"


def difference_table(found: Sequence[Difference], legend: Legend) -> Table:
    """Lay the differences out: mean, 95 % interval, p-values, and what the design shows with 80 % power."""
    keys = place_columns(legend)
    told = ("tested on", "metric", "difference", "95 % interval")
    tests = ("p (difference)", "p (permutation)", f"p (equal within {MARGIN:g})", "seeds", "tasks")
    lines = tuple(_line(item, legend, keys) for item in found)
    able = ("finds", "can show equal within")
    return Table(
        "Differences to the reference",
        (*key_headings(keys, tests), *told, *tests, *able),
        lines,
        len(keys) + 2,
    )


def difference_caption(found: Sequence[Difference]) -> str:
    """Say of that table, wherever it stands, which tests its numbers are of and over how many they are corrected."""
    tests = [
        sum(not math.isnan(p) for p in column)
        for column in ([one.p_difference for one in found], [one.p_equivalence for one in found])
    ]
    unequal, equal = (counted(number, "comparison") for number in tests)
    single = any(one.comparison.one_seed for one in found)
    alone = "(this seed): of one seed, whose interval leaves other seeds out; no test. " if single else ""
    left_out = "".join(f"{line} " for line in in_some((o.pairing.dropped, o.pairing.same) for o in found))
    return (
        "Percentage points (of metrics in another unit, that unit; of these no equality within points is tested), "
        "paired by seed and task before rounding. The 95 % interval and p (difference), two-sided, are one inference, "
        f"in which seeds and tasks are crossed random effects (Student's t); p (equal within {MARGIN:g}) is of two "
        f"one-sided tests; p (permutation) is of {REPLICATES:,} sign flips over tasks, for these seeds alone. The "
        f"p-values of difference and equality are Holm-corrected over this table ({unequal} and {equal}); permutation "
        f"p-values and intervals are not. {alone}{left_out}Finds, can show equal within: the smallest true difference "
        "that one uncorrected test of this design finds, and the smallest margin, at 80 % power."
    )


def _line(item: Difference, legend: Legend, keys: Sequence[str]) -> tuple[str, ...]:
    comparison, measure = item.comparison, find_measure(item.metric)
    return (
        *(legend.text(item.trial.setting, key) for key in keys),
        item.trial.tested,
        item.metric,
        written(comparison.mean, signed=True),
        interval_text(comparison),
        *(probability(p) for p in (item.p_difference, comparison.p_permutation, item.p_equivalence)),
        str(comparison.seeds),
        str(comparison.units),
        *(points(least(comparison.design), measure.digits) for least in (detectable, equal_margin)),
    )
