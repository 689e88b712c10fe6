"""Differences: every setting against the reference variant, with intervals and corrected p-values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from instruct_ablate.cell.state.legend import Legend, heading
from instruct_ablate.cell.state.record import CellRecord
from instruct_ablate.report.statistics.comparison import Comparison, compare, holm
from instruct_ablate.report.statistics.paired import Pairing, pair
from instruct_ablate.report.tables import Table
from instruct_ablate.report.trials import Trial, Trials

METRICS = ("exact_match", "rougeL", "format_correctness")
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


def differences(cells: Sequence[CellRecord], reference: str) -> tuple[Difference, ...]:
    """Compare every setting with its counterpart under the reference variant, as trained or else tested alike."""
    trials, legend = Trials(cells), Legend(cell.setting for cell in cells)
    found = []
    for trial in sorted(
        trials.scores, key=lambda trial: (legend.order(trial.setting, reference), trial.tested)
    ):
        opposite = trials.reference(trial, reference)
        if opposite is None:
            continue
        for metric in METRICS:
            pairing = pair(trials.scores[trial], trials.scores[opposite], metric)
            if pairing is not None:
                found.append((trial, opposite, metric, pairing, compare(pairing.differences)))
    unequal = holm([comparison.p_difference for *_, comparison in found])
    equal = holm([comparison.p_equivalence(MARGIN) for *_, comparison in found])
    return tuple(Difference(*parts, p, q) for parts, p, q in zip(found, unequal, equal, strict=True))


def place_columns(legend: Legend) -> tuple[str, ...]:
    """Name the keys that say in a table of pairs which setting a line is of; the variant stands last."""
    further = (key for key in legend.keys if key not in ("model", "data_budget", "instruction"))
    return "model", "data_budget", *further, "instruction"


def difference_table(found: Sequence[Difference], legend: Legend) -> Table:
    """Lay the differences out: mean, 95 % interval, p-values."""
    keys = place_columns(legend)
    told = (*map(heading, keys), "tested on", "metric", "difference", "95 % interval")
    tests = ("p (difference)", "p (permutation)", f"p (equal within {MARGIN:g})", "seeds", "tasks")
    lines = tuple(_line(item, legend, keys) for item in found)
    return Table("Differences to the reference", (*told, *tests), lines, len(keys) + 2)


def _line(item: Difference, legend: Legend, keys: Sequence[str]) -> tuple[str, ...]:
    comparison = item.comparison
    low, high = comparison.interval95
    return (
        *(legend.text(item.trial.setting, key) for key in keys),
        item.trial.tested,
        item.metric,
        f"{comparison.mean:+.2f}",
        "-" if math.isnan(low) else f"[{low:+.2f}, {high:+.2f}]",
        *(probability(p) for p in (item.p_difference, comparison.p_permutation, item.p_equivalence)),
        str(comparison.seeds),
        str(comparison.units),
    )


def probability(p: float) -> str:
    """Write a p-value."""
    if math.isnan(p):
        return "-"
    return "<0.001" if p < 0.001 else f"{p:.3f}"
