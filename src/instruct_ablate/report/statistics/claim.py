"""Claims: what the tests say of one clause of a hypothesis, how far that can be trusted, and what would decide it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from instruct_ablate.hypotheses import Clause
from instruct_ablate.report.statistics.comparison import Comparison, holm
from instruct_ablate.report.statistics.power import Aim, Needed, needed_for
from instruct_ablate.report.statistics.task_share import (
    Vulnerability,
    least_tasks,
    share_within,
    vulnerability,
)
from instruct_ablate.report.statistics.tried import Tried, compare_all

Answer = Literal["supported", "refuted", "undecided", "uninformative", "no data"]
LEVEL = 0.05
BEYOND = 2.0  # points beyond its bound at which advice takes the truth of "exceeds" and "is lower" to lie


@dataclass(frozen=True, slots=True)
class Ruling:
    """What one place says of a clause; p-values are Holm-adjusted over the places that can say anything."""

    answer: Answer
    reason: str  # of an answer that no p-value gives
    comparison: Comparison
    p_support: float
    p_refute: float
    places: int  # that Holm's correction counts

    def vulnerable(self, clause: Clause) -> Vulnerability | None:
        """What tasks that were not drawn could do to a supported claim that the mean lies within its margin."""
        if self.answer != "supported" or clause.verb != "equals" or clause.share is not None:
            return None
        comparison = self.comparison
        return vulnerability(comparison.mean, clause.margin, comparison.units, comparison.limit)


def rulings(clause: Clause, tried: Sequence[Tried]) -> tuple[Ruling, ...]:
    """Rule on a clause at every place it was tried at."""
    comparisons = compare_all(tried)
    fixed = [_fixed(clause, one, other) for one, other in zip(tried, comparisons, strict=True)]
    able = [answer is None for answer, _ in fixed]
    support, refute = (_adjusted(test, clause, comparisons, able) for test in (p_support, p_refute))
    return tuple(
        Ruling(answer or _answer(yes, no), reason, comparison, yes, no, max(sum(able), 1))
        for (answer, reason), comparison, yes, no in zip(fixed, comparisons, support, refute, strict=True)
    )


def _fixed(clause: Clause, one: Tried, comparison: Comparison) -> tuple[Answer | None, str]:
    """Return the answer that no test changes, with its reason; None where the tests decide."""
    if one.untrained and clause.verb == "equals":
        return "uninformative", "neither side was trained"
    if reason := one.uninformative:
        return "uninformative", reason
    return ("undecided", "one seed") if comparison.one_seed else (None, "")


def _adjusted(
    test: Callable[[Clause, Comparison], float],
    clause: Clause,
    comparisons: Sequence[Comparison],
    able: Sequence[bool],
) -> tuple[float, ...]:
    """Correct for the places that can be decided; the others are no tests."""
    both = zip(comparisons, able, strict=True)
    return holm([test(clause, comparison) if can else float("nan") for comparison, can in both])


def _answer(yes: float, no: float) -> Answer:
    if yes < LEVEL:
        return "supported"
    return "refuted" if no < LEVEL else "undecided"


def p_support(clause: Clause, comparison: Comparison) -> float:
    """Return the p-value against "the claim is false"."""
    if clause.share is not None:
        return share_within(comparison.effects, clause.margin, clause.share).p_support
    if clause.verb == "equals":
        return comparison.p_equivalence(clause.margin)
    if clause.verb == "exceeds":
        return comparison.p_exceeds(clause.margin)
    return comparison.p_below(-clause.margin)


def p_refute(clause: Clause, comparison: Comparison) -> float:
    """Test the opposite: outside the margin on either side, or on the wrong side of the bound."""
    if clause.share is not None:
        return share_within(comparison.effects, clause.margin, clause.share).p_refute
    if clause.verb == "equals":
        outside = min(comparison.p_exceeds(clause.margin), comparison.p_below(-clause.margin))
        return float(np.minimum(1.0, 2 * outside))
    if clause.verb == "exceeds":
        return comparison.p_below(clause.margin)
    return comparison.p_exceeds(-clause.margin)


def aim_of(clause: Clause, places: int) -> Aim:
    """Return what a design should show: the truth is stated (equal, or a little beyond the bound), not observed.

    The level is that of Holm's first step over the places, so the power holds whatever the other places say.
    """
    level = LEVEL / places
    if clause.verb == "equals":
        return Aim("equals", clause.margin, 0.0, level)
    truth = clause.margin + BEYOND
    return Aim(clause.verb, clause.margin, truth if clause.verb == "exceeds" else -truth, level)


def advice(clause: Clause, ruling: Ruling) -> Needed:
    """Return the seeds or tasks at which the claim would be supported with 80 % power, if it holds as stated."""
    if clause.share is not None:
        return Needed(None, max(least_tasks(clause.share), ruling.comparison.units + 1))
    return needed_for(ruling.comparison.design, aim_of(clause, ruling.places))
