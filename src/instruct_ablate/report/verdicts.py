"""Verdicts: what a study says of each hypothesis, and what would decide it where that is open."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from instruct_ablate.cell.state.legend import Legend
from instruct_ablate.cell.state.record import CellRecord
from instruct_ablate.hypotheses import Clause, Hypothesis
from instruct_ablate.report.contrasts import Contrast, UnmatchedError, contrasts
from instruct_ablate.report.differences import probability
from instruct_ablate.report.statistics.comparison import Comparison, compare, holm
from instruct_ablate.report.statistics.paired import pair
from instruct_ablate.report.statistics.power import MOST_SEEDS, MOST_TASKS, Needed, needed
from instruct_ablate.report.trials import Trial, Trials

Answer = Literal["supported", "refuted", "undecided", "no data"]
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Finding:
    """One clause at one place of the grid (model, budget, ...); p-values are Holm-adjusted over places."""

    clause: Clause
    place: str  # by all that differs in the study
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
    open: tuple[str, ...] = ()  # why a clause has no data


def judge(
    cells: Sequence[CellRecord], hypotheses: Sequence[Hypothesis], reference: str
) -> tuple[Verdict, ...]:
    """Answer every hypothesis from the cells that are done."""
    trials, legend = Trials(cells), Legend(cell.setting for cell in cells)
    verdicts = []
    for hypothesis in hypotheses:
        findings, reasons = [], []
        for clause in hypothesis.clauses:
            found, reason = _tried(clause, trials, legend, reference)
            findings.append(found)
            reasons += [reason] if reason else []
        every = tuple(finding for part in findings for finding in part)
        verdicts.append(Verdict(hypothesis, _overall(findings), every, tuple(dict.fromkeys(reasons))))
    return tuple(verdicts)


def _tried(clause: Clause, trials: Trials, legend: Legend, reference: str) -> tuple[tuple[Finding, ...], str]:
    """Try a clause wherever the study can; where it cannot, say why."""
    try:
        found = contrasts(trials, clause, reference)
    except UnmatchedError as error:
        return (), str(error)
    if not found:
        return (), f"no done cells of {clause.left} and {clause.right} that are equal in all else"
    findings = _findings(clause, sorted(found, key=lambda one: _order(one.place, legend, reference)), legend)
    return findings, "" if findings else f"{clause.metric} is not defined on what both sides share"


def _order(trial: Trial, legend: Legend, reference: str) -> tuple[object, ...]:
    return (*legend.order(trial.setting, reference), trial.tested)


def _findings(clause: Clause, found: Sequence[Contrast], legend: Legend) -> tuple[Finding, ...]:
    compared = []
    for contrast in found:
        pairing = pair(contrast.left, contrast.right, clause.metric, seedless=contrast.seedless)
        if pairing is not None:
            differences = -pairing.differences if contrast.swapped else pairing.differences
            compared.append((_place(contrast.place, legend), compare(differences)))
    support = holm([_p_support(clause, comparison) for _, comparison in compared])
    refute = holm([_p_refute(clause, comparison) for _, comparison in compared])
    return tuple(
        Finding(clause, place, _answer(yes, no), comparison, yes, no, _needed(clause, comparison))
        for (place, comparison), yes, no in zip(compared, support, refute, strict=True)
    )


def _place(trial: Trial, legend: Legend) -> str:
    """Name a place by model, budget and all else that differs, but for the variant where it is tested as trained."""
    setting = trial.setting
    tested = "" if trial.tested in (setting.instruction, "original") else f", tested on {trial.tested}"
    return legend.place(setting, "instruction", always=("model", "data_budget")) + tested


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
        yield from (f"    {reason}" for reason in verdict.open)
        yield from (f"    {finding_line(finding)}" for finding in verdict.findings)


def finding_line(finding: Finding) -> str:
    """Tell one finding: place, difference, interval, p and, where it is open, what would decide it."""
    place, comparison = finding.place, finding.comparison
    low, high = comparison.interval90
    interval = "no interval (one task)" if math.isnan(low) else f"90 % interval {low:+.2f} to {high:+.2f}"
    told = (
        f"{place}: {finding.answer}; {finding.clause.metric} "
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
