"""Verdicts: what a study says of each hypothesis, and what would decide it where that is open."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from instruct_ablate.cell.state.record import Axes, CellRecord
from instruct_ablate.hypotheses import Clause, Hypothesis
from instruct_ablate.report.contrasts import Contrast, contrasts, scored_trials
from instruct_ablate.report.differences import probability
from instruct_ablate.report.statistics.comparison import Comparison, compare, holm
from instruct_ablate.report.statistics.paired import pair
from instruct_ablate.report.statistics.power import MOST_SEEDS, MOST_TASKS, Needed, needed

Answer = Literal["supported", "refuted", "undecided", "no data"]
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Finding:
    """One clause at one place of the grid (model, budget, ...); p-values are Holm-adjusted over places."""

    clause: Clause
    place: Axes
    answer: Answer
    comparison: Comparison
    p_support: float
    p_refute: float
    needed: Needed


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a hypothesis over all places it was tried at."""

    hypothesis: Hypothesis
    answer: Answer
    findings: tuple[Finding, ...]


def judge(
    cells: Sequence[CellRecord], hypotheses: Sequence[Hypothesis], reference: str
) -> tuple[Verdict, ...]:
    """Answer every hypothesis from the cells that are done."""
    scored = scored_trials(cells)
    verdicts = []
    for hypothesis in hypotheses:
        findings = [_findings(clause, contrasts(scored, clause, reference)) for clause in hypothesis.clauses]
        verdicts.append(Verdict(hypothesis, _overall(findings), tuple(f for part in findings for f in part)))
    return tuple(verdicts)


def _findings(clause: Clause, found: Sequence[Contrast]) -> tuple[Finding, ...]:
    compared = []
    for contrast in found:
        pairing = pair(contrast.left, contrast.right, clause.metric, seedless=contrast.seedless)
        if pairing is not None:
            compared.append((contrast.place, compare(pairing.differences)))
    support = holm([_p_support(clause, comparison) for _, comparison in compared])
    refute = holm([_p_refute(clause, comparison) for _, comparison in compared])
    return tuple(
        Finding(clause, place, _answer(yes, no), comparison, yes, no, _needed(clause, comparison))
        for (place, comparison), yes, no in zip(compared, support, refute, strict=True)
    )


def _answer(p_support: float, p_refute: float) -> Answer:
    if p_support < LEVEL:
        return "supported"
    return "refuted" if p_refute < LEVEL else "undecided"


def _p_support(clause: Clause, comparison: Comparison) -> float:
    if clause.verb == "equals":
        return comparison.p_equivalence(clause.margin)
    return (
        comparison.p_exceeds(clause.margin)
        if clause.verb == "exceeds"
        else _p_below(comparison, -clause.margin)
    )


def _p_refute(clause: Clause, comparison: Comparison) -> float:
    """Test the opposite: outside the margin on either side, or on the wrong side of the bound."""
    if clause.verb == "equals":
        outside = min(comparison.p_exceeds(clause.margin), _p_below(comparison, -clause.margin))
        return min(1.0, 2 * outside)
    if clause.verb == "exceeds":
        return _p_below(comparison, clause.margin)
    return comparison.p_exceeds(-clause.margin)


def _p_below(comparison: Comparison, bound: float) -> float:
    if comparison.error == 0:
        return 0.0 if comparison.mean < bound else 1.0
    return 1.0 - comparison.p_exceeds(bound)


def _needed(clause: Clause, comparison: Comparison) -> Needed:
    """Ask for the seeds or tasks that would decide towards where the mean lies now."""
    if clause.verb == "equals":
        distance = abs(clause.margin - abs(comparison.mean))
    else:
        bound = clause.margin if clause.verb == "exceeds" else -clause.margin
        distance = abs(comparison.mean - bound)
    return needed(comparison.components, distance, (comparison.seeds, comparison.units))


def _overall(findings: Sequence[Sequence[Finding]]) -> Answer:
    """All clauses must hold everywhere; one refutation anywhere refutes."""
    if any(not part for part in findings):
        return "no data"
    answers = {finding.answer for part in findings for finding in part}
    if "refuted" in answers:
        return "refuted"
    return "supported" if answers == {"supported"} else "undecided"


MARKS = {"supported": "✓", "refuted": "✗", "undecided": "?", "no data": "-"}


def lines(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield a line for every hypothesis and, indented, for every place it was tried at."""
    for verdict in verdicts:
        yield f"{MARKS[verdict.answer]} {verdict.answer}: {verdict.hypothesis.text}"
        for finding in verdict.findings:
            yield f"    {finding_line(finding)}"


def finding_line(finding: Finding) -> str:
    """Tell one finding: place, difference, interval, p and, where it is open, what would decide it."""
    place, comparison = finding.place, finding.comparison
    low, high = comparison.interval90
    interval = "no interval (one task)" if math.isnan(low) else f"90 % interval {low:+.2f} to {high:+.2f}"
    told = (
        f"{place.model}, budget {place.data_budget}: {finding.answer}; {finding.clause.metric} "
        f"{comparison.mean:+.2f} points, {interval}, p = {probability(finding.p_support)} "
        f"({counted(comparison.seeds, 'seed')}, {counted(comparison.units, 'task')})"
    )
    return f"{told}; {deciding(finding)}" if finding.answer == "undecided" else told


def deciding(finding: Finding) -> str:
    """Say how many seeds or tasks would decide."""
    if finding.comparison.units < 2:
        return "one test task cannot decide it: test on more"
    found = finding.needed
    ways = [counted(found.seeds, "seed")] if found.seeds else []
    ways += [counted(found.tasks, "test task")] if found.tasks else []
    if ways:
        return f"would be decided by {' or '.join(ways)}"
    return f"neither {MOST_SEEDS} seeds nor {MOST_TASKS:,} test tasks alone would decide it"


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: "1 seed", "3 seeds"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
