"""Answers in words: one line a verdict and one a finding, with numbers and what would decide."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from instruct_ablate.report.differences import probability
from instruct_ablate.report.power import MOST_SEEDS, MOST_TASKS
from instruct_ablate.report.verdicts import Finding, Verdict

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
