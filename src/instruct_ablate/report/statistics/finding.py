"""Findings: what one place of a study says of a claim, in words that say how far it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from instruct_ablate.hypotheses import Clause
from instruct_ablate.limits import exactly
from instruct_ablate.metrics import Measure, find_measure
from instruct_ablate.plural import counted
from instruct_ablate.report.statistics.claim import BEYOND, Answer, Ruling
from instruct_ablate.report.statistics.comparison import Comparison
from instruct_ablate.report.statistics.paired import dropped_words, same_words
from instruct_ablate.report.statistics.power import (
    LEVEL,
    MOST_SEEDS,
    MOST_TASKS,
    Design,
    Needed,
    detectable,
    equal_margin,
)
from instruct_ablate.report.statistics.variance.task_share import inside, least_tasks, share_within
from instruct_ablate.rounding import written

SHOWN = 3  # tasks outside the margin that are named


@dataclass(frozen=True, slots=True)
class Finding:
    """One clause at one place of the grid (model, budget, ...), with what would decide it."""

    clause: Clause
    place: str  # by all that differs in the study
    ruling: Ruling
    needed: Needed
    tasks: tuple[str, ...]
    dropped: tuple[str, ...] = ()  # that one side alone was tested on, or on another number of instances
    same: tuple[int, ...] = ()  # seeds that are one repetition

    @property
    def answer(self) -> Answer:
        """The answer at this place."""
        return self.ruling.answer

    @property
    def measure(self) -> Measure:
        """What the claim is on."""
        return find_measure(self.clause.metric)

    @property
    def comparison(self) -> Comparison:
        """The comparison that it rests on."""
        return self.ruling.comparison


def finding_line(finding: Finding) -> str:
    """Write one finding: place, difference, interval, p, what the design can show, and what to make of it."""
    return "; ".join(_parts(finding))


def _parts(finding: Finding) -> Iterator[str]:
    ruling, comparison = finding.ruling, finding.comparison
    reason = f" ({ruling.reason})" if ruling.reason else ""
    yield f"{finding.place}: {finding.answer}{reason}"
    p = "" if math.isnan(ruling.p_support) else f", p = {probability(ruling.p_support)}"
    size = f"{counted(comparison.seeds, 'seed')}, {counted(comparison.units, 'task')}"
    unit = finding.measure.steps
    yield f"{finding.clause.metric} {written(comparison.mean, signed=True)} {unit}, {_interval(ruling)}{p} ({size})"
    yield from _tasks(finding)
    if finding.dropped:
        yield dropped_words(finding.dropped)
    if finding.same:
        yield same_words(finding.same)
    if comparison.units > 1 and not comparison.steady:
        yield noise_floor(comparison.design, finding.measure)
    yield from _caveats(finding)
    if finding.answer == "undecided":
        yield deciding(finding)


def verdict_interval(ruling: Ruling) -> tuple[float, float]:
    """Return the interval that a verdict goes by, of 90 % over all looks; NaN of one task, or where nothing varies."""
    # Two one-sided tests at a level reject just where the interval of 1 - 2 levels does: 90 % goes with 5 %.
    return ruling.comparison.interval(1 - 2 * ruling.level)


def over_looks(ruling: Ruling) -> str:
    """Say what an interval holds over, where looks were planned."""
    return " over all looks" if ruling.level < LEVEL else ""


def _interval(ruling: Ruling) -> str:
    comparison = ruling.comparison
    low, high = verdict_interval(ruling)
    if math.isnan(low):
        return f"no interval ({'all tasks and seeds alike' if comparison.steady else 'one task'})"
    told = f"{written(low, signed=True)} to {written(high, signed=True)}"
    return f"90 % interval{over_looks(ruling)} {told}{of_seeds(comparison)}"


def of_seeds(comparison: Comparison) -> str:
    """Say of an interval what it leaves out of the seeds' variance, or whose it takes; nothing where it is its own."""
    if comparison.one_seed:
        return " for this seed, which leaves out how seeds vary"
    if comparison.seeds_from == "pooled":
        return ", the seeds' variance pooled over the study's other settings"
    return ""


def _tasks(finding: Finding) -> Iterator[str]:
    """Say how many tasks lie within the margin, and name those that lie farthest outside."""
    clause, effects = finding.clause, finding.comparison.effects
    if clause.verb != "equals" or len(effects) < 2:
        return
    share = share_within(effects, clause.margin)
    apart = sorted(zip(effects, finding.tasks, strict=True), key=lambda pair: -abs(pair[0]))
    named = [
        f"{task} {written(effect, finding.measure.digits, signed=True)}"
        for effect, task in apart
        if not inside(effect, clause.margin)
    ]
    more = ", ..." if len(named) > SHOWN else ""
    outside = f"; outside: {', '.join(named[:SHOWN])}{more}" if named else ""
    yield f"{share.within} of {counted(share.tasks, 'task')} within {exactly(clause.margin)}{outside}"


def noise_floor(design: Design, measure: Measure | None = None) -> str:
    """Say what a design can show at all, in points or a measure's own unit; of one seed, that it is not known."""
    if not design.known:
        return "what one seed could show is not known: how seeds vary is not"
    digits, unit = (measure.digits, measure.steps) if measure else (1, "points")
    difference, margin = (points(least(design), digits) for least in (detectable, equal_margin))
    return (
        f"this design finds a difference of {difference} {unit} and can show equality within "
        f"{margin} (80 % power)"
    )


def _caveats(finding: Finding) -> Iterator[str]:
    exposed = finding.ruling.vulnerable(finding.clause)
    if exposed is not None:
        yield (
            f"vulnerable: up to {100 * exposed.share:.2g} % of tasks could be unlike the "
            f"{finding.comparison.units} drawn, and {_on_each(exposed.effect, finding.measure)} on each, "
            "the way the mean lies, would undo it"
        )
    floor = finding.comparison.floor
    if floor is not None and floor.stated:
        yield floor.stated


def _on_each(effect: float, measure: Measure) -> str:
    return f"{effect:.{0 if measure.percent else measure.digits}f} {measure.steps}"


def deciding(finding: Finding) -> str:
    """Say how many seeds or tasks would decide with 80 % power, and under what truth."""
    comparison, clause = finding.comparison, finding.clause
    if comparison.units < 2:
        return "one test task cannot decide it: test on more"
    if comparison.one_seed and finding.same:
        return "further seeds that answer alike decide nothing"
    if comparison.one_seed:
        return "run two more seeds, better four"
    if comparison.steady and clause.share is None:
        return "differences that are all alike leave nothing to judge an error by: more test tasks may differ"
    if clause.share is not None:
        return f"it takes at least {counted(least_tasks(clause.share), 'task')}, all of them within"
    # How far the truth may lie beyond a bound is stated in points (BEYOND): of nats or words there is no such number.
    if clause.verb != "equals" and not finding.measure.percent:
        return "more seeds or test tasks would narrow the interval"
    needed = finding.needed
    ways = [counted(needed.seeds, "seed")] if needed.seeds else []
    ways += [counted(needed.tasks, "test task")] if needed.tasks else []
    truth = "the two are equal" if clause.verb == "equals" else f"the truth lies {BEYOND:g} points beyond"
    holm = (
        f", Holm's correction for {finding.ruling.places} places included"
        if finding.ruling.places > 1
        else ""
    )
    if ways:
        return f"would be decided by {' or '.join(ways)} (80 % power if {truth}{holm})"
    return f"neither {MOST_SEEDS} seeds nor {MOST_TASKS:,} test tasks alone would decide it if {truth}"


def interval_text(comparison: Comparison) -> str:
    """Write the 95 % interval as tables do; one that leaves other seeds out says so."""
    low, high = comparison.interval95
    alone = " (this seed)" if comparison.one_seed else ""
    return "-" if math.isnan(low) else f"[{written(low, signed=True)}, {written(high, signed=True)}]{alone}"


def probability(p: float) -> str:
    """Write a p-value."""
    if math.isnan(p):
        return "-"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def points(value: float, digits: int = 1) -> str:
    """Write a number of points that a design can show; "-" where that is not known or more than a score can be."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"
