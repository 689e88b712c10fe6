"""Sentences: what a study found of each hypothesis, said in one line before any table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from instruct_ablate.hypotheses import Clause
from instruct_ablate.limits import exactly
from instruct_ablate.metrics import find_measure
from instruct_ablate.plural import are, counted
from instruct_ablate.report.rows.trials import UNEVEN
from instruct_ablate.report.statistics.claim import Answer
from instruct_ablate.report.statistics.finding import Finding, of_seeds, over_looks, verdict_interval
from instruct_ablate.report.verdicts.verdicts import MARKS, NOT_JUDGED, Verdict, overall
from instruct_ablate.rounding import written

_IS = {"equals": "is equal to", "exceeds": "is higher than", "is lower": "is lower than"}
_IS_NOT = {"equals": "differs from", "exceeds": "is not higher than", "is lower": "is not lower than"}
MOST_PLACES = 3  # that a sentence names


def sentences(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield a line a hypothesis, with the mark of its answer."""
    yield from (f"{MARKS[one.answer]} {sentence(one)}" for one in verdicts)


def sentence(verdict: Verdict) -> str:
    """Say what was found of a hypothesis: its clauses in a row, the numbers behind each."""
    clauses = verdict.hypothesis.clauses
    own = [[finding for finding in verdict.findings if finding.clause == clause] for clause in clauses]
    missing = iter(verdict.open)
    parts = [
        _clause(clause, found, "" if found else next(missing, ""))
        for clause, found in zip(clauses, own, strict=True)
    ]
    return f"{'; '.join(parts)}{_not_judged(verdict.left_out)}."


def _not_judged(left_out: Sequence[str]) -> str:
    """Count the places that have no answer, by why: cells of one seed there, or seeds with other tests."""
    left = [line for line in left_out if NOT_JUDGED in line]
    uneven = sum(UNEVEN in line for line in left)
    whys = {"cells there clash": len(left) - uneven, "seeds there are not tested alike": uneven}
    told = [
        f"{counted(count, 'place')} {are(count)} not judged, for {why}"
        for why, count in whys.items()
        if count
    ]
    return "".join(f" - {one}" for one in told)


def _clause(clause: Clause, findings: Sequence[Finding], missing: str) -> str:
    if not findings:
        return f"there is nothing yet to tell whether {_claimed(clause)}{f': {missing}' if missing else ''}"
    answer = overall([findings])
    those = [finding for finding in findings if finding.answer == answer]
    where = _where(those, findings)
    if answer == "uninformative":
        reasons = dict.fromkeys(finding.ruling.reason for finding in those if finding.ruling.reason)
        why = f": {', '.join(reasons)}" if reasons else ""
        return f"whether {_claimed(clause)} cannot be told here{where}{why}"
    said = {"supported": _claimed(clause), "refuted": _claimed(clause, refuted=True)}
    return f"{said.get(answer, f'it is open whether {_claimed(clause)}')}{where}: {_numbers(those, answer)}"


def _claimed(clause: Clause, refuted: bool = False) -> str:
    """Write a claim, or what its refutation says, with its bound."""
    measure = find_measure(clause.metric)
    heading = measure.heading.replace("\n", " ")
    unit = "point" if clause.margin == 1 and measure.steps == "points" else measure.steps
    bound = f"{exactly(clause.margin)} {unit}"
    verb = (_IS_NOT if refuted else _IS)[clause.verb]
    if clause.verb == "equals":
        by = f" by more than {bound}" if refuted else f" within {bound}"
        by += f" for {100 * clause.share:g} % of tasks" if clause.share is not None else ""
    else:
        by = f" by {'' if refuted else 'more than '}{bound}" if clause.margin else ""
    alike = "" if clause.where == "same" else f" at {clause.where}"
    return f"{clause.left} {verb} {clause.right}{by} on {heading}{alike}"


def _where(those: Sequence[Finding], every: Sequence[Finding]) -> str:
    """Say at which places it was found, where there are several."""
    if len(every) == 1:
        return ""
    if len(those) == len(every):
        return f" at {'both' if len(every) == 2 else f'all {len(every)}'} places"
    named = "; ".join(finding.place for finding in those[:MOST_PLACES])
    more = "; ..." if len(those) > MOST_PLACES else ""
    return f" at {len(those)} of {len(every)} places ({named}{more})"


def _numbers(findings: Sequence[Finding], answer: Answer) -> str:
    """Write the difference and its interval; of several places from the least to the most."""
    means = [finding.comparison.mean for finding in findings]
    spans = [verdict_interval(finding.ruling) for finding in findings]
    lows, highs = (
        [one[side] for one in spans if not any(map(math.isnan, one))] for side in (0, 1)
    )  # a place with one task has none
    unit = findings[0].measure.steps
    means_told = _signed(means[0]) if len(means) == 1 else f"{_signed(min(means))} to {_signed(max(means))}"
    over = next(filter(None, (over_looks(finding.ruling) for finding in findings)), "")
    between = f"90 % interval{'' if len(findings) == 1 else 's'}{over}"
    seeds = next(filter(None, (of_seeds(finding.comparison) for finding in findings)), "")
    told = (
        f", {between} within {_signed(min(lows))} to {_signed(max(highs))}{seeds}"
        if lows and len(findings) > 1
        else ""
    )
    if lows and len(findings) == 1:
        told = f", {between} {_signed(lows[0])} to {_signed(highs[0])}{seeds}"
    so_far = "so far " if answer == "undecided" else ""
    return f"{so_far}{means_told} {unit}{told} ({_size(findings)})"


def _signed(value: float) -> str:
    return written(value, signed=True)


def _size(findings: Sequence[Finding]) -> str:
    seeds = sorted({finding.comparison.seeds for finding in findings})
    tasks = sorted({finding.comparison.units for finding in findings})
    return ", ".join(
        counted(numbers[0], noun) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]} {noun}s"
        for numbers, noun in ((seeds, "seed"), (tasks, "task"))
    )
