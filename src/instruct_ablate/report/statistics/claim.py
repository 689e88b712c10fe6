"""Claims: what the tests say of one clause of a hypothesis, how far that can be trusted, and what would decide it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from instruct_ablate.hypotheses import Clause
from instruct_ablate.metrics import find_measure
from instruct_ablate.report.statistics.comparison import Comparison, holm
from instruct_ablate.report.statistics.looks import Looks
from instruct_ablate.report.statistics.power import LEVEL, Aim, Needed, needed_for
from instruct_ablate.report.statistics.tried import Tried, compare_all
from instruct_ablate.report.statistics.variance.task_share import (
    Vulnerability,
    least_tasks,
    share_within,
    vulnerability,
)

Answer = Literal["supported", "refuted", "undecided", "uninformative", "no data"]
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
    level: float = LEVEL  # one-sided, of its interval: less where looks were planned
    settled: bool = True  # whether further seeds of a plan with looks are too unlikely to change it

    def vulnerable(self, clause: Clause) -> Vulnerability | None:
        """What tasks that were not drawn could do to a supported claim that the mean lies within its margin."""
        if self.answer != "supported" or clause.verb != "equals" or clause.share is not None:
            return None
        comparison = self.comparison
        return vulnerability(comparison.mean, clause.margin, comparison.units, comparison.limit)


def rulings(clause: Clause, tried: Sequence[Tried], looks: Looks | None = None) -> tuple[Ruling, ...]:
    """Rule on a clause at every place it was tried at.

    With `looks` p-values and intervals hold over all of them. Each is valid wherever the study stops, so Holm's
    correction of them is too.
    """
    comparisons = compare_all(tried)
    fixed = [_fixed(clause, one, other, looks) for one, other in zip(tried, comparisons, strict=True)]
    able = [answer is None for answer, _ in fixed]
    own = tuple(_p_values(test, clause, comparisons, able, looks) for test in (p_support, p_refute))
    support, refute = map(holm, own)
    found = tuple(
        Ruling(answer or _answer(yes, no), reason, comparison, yes, no, max(sum(able), 1))
        for (answer, reason), comparison, yes, no in zip(fixed, comparisons, support, refute, strict=True)
    )
    if looks is None:
        return found
    return tuple(
        replace(
            ruling,
            level=looks.level(ruling.comparison),
            settled=_settled(clause, one, ruling, _steps(own, place), looks),
        )
        for place, (one, ruling) in enumerate(zip(tried, found, strict=True))
    )


def _fixed(
    clause: Clause, one: Tried, comparison: Comparison, looks: Looks | None
) -> tuple[Answer | None, str]:
    """Return the answer that no test changes, with its reason; None where the tests decide."""
    if one.untrained and clause.verb == "equals":
        return "uninformative", "neither side was trained"
    if reason := one.uninformative:
        return "uninformative", reason
    early = looks.too_early(clause, comparison) if looks else ""
    early = "one seed" if comparison.one_seed else early
    if comparison.steady and clause.share is None:
        early = early or "nothing varies"
    return ("undecided", early) if early else (None, "")


def _p_values(
    test: Callable[[Clause, Comparison, Looks | None], float],
    clause: Clause,
    comparisons: Sequence[Comparison],
    able: Sequence[bool],
    looks: Looks | None,
) -> tuple[float, ...]:
    """Test at the places that can be decided; the others are no tests to correct for."""
    both = zip(comparisons, able, strict=True)
    return tuple(test(clause, comparison, looks) if can else float("nan") for comparison, can in both)


def _steps(own: Sequence[Sequence[float]], place: int) -> tuple[int, int]:
    """Return by how much Holm's correction divides the levels at a place, for support and refutation."""
    # Holm's step: so many p-values are no smaller; NaN, which is no test, compares as false and is not among them.
    support, refute = (max(1, sum(value >= values[place] for value in values)) for values in own)
    return support, refute


def _settled(clause: Clause, one: Tried, ruling: Ruling, steps: tuple[int, int], looks: Looks) -> bool:
    comparison = ruling.comparison
    if comparison.seeds_from == "none" or comparison.seeds >= looks.planned:
        return True
    if ruling.answer == "uninformative":
        return one.untrained or one.stays_uninformative
    return not ruling.reason and looks.outlook(clause, one, comparison, steps).settles(ruling.answer)


def _answer(yes: float, no: float) -> Answer:
    if yes < LEVEL:
        return "supported"
    return "refuted" if no < LEVEL else "undecided"


def p_support(clause: Clause, comparison: Comparison, looks: Looks | None = None) -> float:
    """Return the p-value against "the claim is false"."""
    if clause.share is not None:
        return share_within(comparison.effects, clause.margin, clause.share).p_support
    if clause.verb == "equals":
        p = comparison.p_equivalence(clause.margin)
    elif clause.verb == "exceeds":
        p = comparison.p_exceeds(clause.margin)
    else:
        p = comparison.p_below(-clause.margin)
    return looks.p_value(p, comparison) if looks else p


def p_refute(clause: Clause, comparison: Comparison, looks: Looks | None = None) -> float:
    """Test the opposite: outside the margin on either side, or on the wrong side of the bound."""
    if clause.share is not None:
        return share_within(comparison.effects, clause.margin, clause.share).p_refute
    if clause.verb == "equals":
        p = min(comparison.p_exceeds(clause.margin), comparison.p_below(-clause.margin))
    elif clause.verb == "exceeds":
        p = comparison.p_below(clause.margin)
    else:
        p = comparison.p_exceeds(-clause.margin)
    p = looks.p_value(p, comparison) if looks else p
    # Twice: it is the better of two one-sided tests.
    return float(np.minimum(1.0, 2 * p)) if clause.verb == "equals" else p


def aim_of(clause: Clause, places: int, truth: float | None = None) -> Aim:
    """Return what a design should show: the truth is stated (equal, or a little beyond the bound), not observed.

    `truth` states it otherwise, in points: how far two equal sides lie apart, or how far beyond its bound a
    difference lies.

    The level is that of Holm's first step over the places, so the power holds whatever the other places say.
    """
    level = LEVEL / places
    if clause.verb == "equals":
        return Aim("equals", clause.margin, truth or 0.0, level)
    distance = clause.margin + (BEYOND if truth is None else truth)
    return Aim(clause.verb, clause.margin, distance if clause.verb == "exceeds" else -distance, level)


def advice(clause: Clause, ruling: Ruling) -> Needed:
    """Return the seeds or tasks at which the claim would be supported with 80 % power, if it holds as stated."""
    if clause.share is not None:
        return Needed(None, max(least_tasks(clause.share), ruling.comparison.units + 1))
    if clause.verb != "equals" and not find_measure(clause.metric).percent:
        return Needed(None, None)  # how far the truth may lie beyond is stated in points alone
    return needed_for(ruling.comparison.design, aim_of(clause, ruling.places))
