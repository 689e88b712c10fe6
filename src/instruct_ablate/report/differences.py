"""Differences: every setting against the reference variant, with intervals and corrected p-values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from instruct_ablate.cell.state.record import CellRecord
from instruct_ablate.report.contrasts import Scored, Trial, order, scored_trials
from instruct_ablate.report.rows import budget_text, trained_on
from instruct_ablate.report.statistics.comparison import Comparison, compare, holm
from instruct_ablate.report.statistics.paired import Pairing, pair
from instruct_ablate.report.tables import Table

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
    """Compare every trained setting with the same one under the reference variant, tested alike or as trained."""
    scored = scored_trials(cells)
    found = []
    for trial in sorted(scored, key=order):
        opposite = _opposite(trial, scored, reference)
        if opposite is None:
            continue
        for metric in METRICS:
            pairing = pair(scored[trial], scored[opposite], metric)
            if pairing is not None:
                found.append((trial, opposite, metric, pairing, compare(pairing.differences)))
    unequal = holm([comparison.p_difference for *_, comparison in found])
    equal = holm([comparison.p_equivalence(MARGIN) for *_, comparison in found])
    return tuple(Difference(*parts, p, q) for parts, p, q in zip(found, unequal, equal, strict=True))


def _opposite(trial: Trial, scored: Scored, reference: str) -> Trial | None:
    """Return the reference to compare with: other training variant first, else other test variant."""
    if trial.axes.untuned:
        same_test = Trial(trial.axes, reference)
        return same_test if trial.tested != reference and same_test in scored else None
    if trial.axes.instruction == reference:
        other = Trial(trial.axes, reference)
        return other if trial.tested != reference and other in scored else None
    axes = replace(trial.axes, instruction=reference)
    own = trial.tested == trial.axes.instruction
    wanted = [Trial(axes, reference if own else trial.tested), Trial(axes, trial.tested)]
    return next((other for other in wanted if other in scored), None)


def difference_table(found: Sequence[Difference]) -> Table:
    """Lay the differences out: mean, 95 % interval, p-values."""
    told = ("model", "budget", "trained on", "tested on", "metric", "difference", "95 % interval")
    tests = ("p (difference)", "p (permutation)", f"p (equal within {MARGIN:g})", "seeds", "tasks")
    return Table("Differences to the reference", (*told, *tests), tuple(_line(item) for item in found), 5)


def _line(item: Difference) -> tuple[str, ...]:
    axes, comparison = item.trial.axes, item.comparison
    low, high = comparison.interval95
    return (
        axes.model,
        budget_text(axes),
        trained_on(axes),
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
