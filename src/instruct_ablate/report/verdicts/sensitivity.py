"""Sensitivity to the metric: what a claim would come to under every other metric of the same unit and direction.

It describes: a verdict is that of the metric that was stated, and nothing is corrected for looking at the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from instruct_ablate.hypotheses import Clause
from instruct_ablate.metrics import find_measure
from instruct_ablate.metrics.registry import AT_REPORT, described
from instruct_ablate.report.rows.columns import OF_THE_DATA
from instruct_ablate.report.statistics.claim import Ruling
from instruct_ablate.rounding import written

SAID = "under other metrics (descriptive: the verdict is the stated metric's, and the others are not tested beside it)"


@dataclass(frozen=True, slots=True)
class UnderMetric:
    """What a clause comes to under one metric, over its places."""

    metric: str
    answers: tuple[str, ...]
    means: tuple[float, ...]  # differences, in the metric's unit
    chose: bool = False  # whether weights were chosen by it, on held-out training tasks

    @property
    def holds(self) -> bool:
        """Whether it is supported wherever it could be seen to fail."""
        return set(self.answers) - {"uninformative"} == {"supported"}

    @property
    def fails(self) -> bool:
        """Whether it is refuted anywhere."""
        return "refuted" in self.answers

    @property
    def told(self) -> str:
        """Its answers, counted where places differ."""
        counts = Counter(self.answers)
        return ", ".join(counts) if len(counts) == 1 else ", ".join(f"{n} {one}" for one, n in counts.items())


def under_metrics(
    clause: Clause, rule: Callable[[Clause], Sequence[Ruling]], chose: Collection[str] = ()
) -> tuple[UnderMetric, ...]:
    """Rule on a clause under its own metric, first, and all that it can be held against.

    `chose` are the metrics by which weights were chosen.
    """
    rows = []
    for name in (clause.metric, *comparable(clause.metric)):
        ruled = rule(replace(clause, metric=name))
        if ruled:
            answers = tuple(one.answer for one in ruled)
            means = tuple(one.comparison.mean for one in ruled)
            rows.append(UnderMetric(name, answers, means, find_measure(name).metric.name in chose))
    return tuple(rows) if rows and rows[0].metric == clause.metric and len(rows) > 1 else ()


def comparable(name: str) -> tuple[str, ...]:
    """Name the other measures over the same kind of task, of the same unit and direction."""
    own = find_measure(name)
    names = []
    for metric in described():
        same = (metric.unit, metric.higher_is_better) == (own.metric.unit, own.metric.higher_is_better)
        if not same or metric.reads in AT_REPORT or metric.name in (own.metric.name, *OF_THE_DATA):
            continue
        if own.kind is None and len(metric.kinds) > 1:
            names.append(metric.name)
        elif own.kind in metric.kinds:
            names.append(metric.name if metric.kinds == (own.kind,) else f"{own.kind}_{metric.name}")
    return tuple(names)


def sensitivity_lines(rows: Sequence[UnderMetric]) -> Iterator[str]:
    """Write a small table: metric, answer and difference; then where the claim holds and where it flips."""
    if not rows:
        return
    stated = rows[0]
    yield SAID
    widths = [max(map(len, texts)) for texts in zip(*((row.metric, row.told) for row in rows), strict=True)]
    for row in rows:
        mark = " (stated)" if row is stated else " (flips)" if flips(stated, row) else ""
        mark += " (weights were chosen by it)" if row.chose else ""
        yield f"  {row.metric:<{widths[0]}}  {row.told:<{widths[1]}}  {_span(row.means)}{mark}"
    parts = {
        "holds under": [row.metric for row in rows if row.holds],
        "flips under": [row.metric for row in rows if flips(stated, row)],
    }
    yield "  " + "; ".join(f"{said} {', '.join(names) or 'none'}" for said, names in parts.items())


def flips(stated: UnderMetric, other: UnderMetric) -> bool:
    """Whether a claim holds under one of two metrics and is refuted under the other."""
    return (stated.holds and other.fails) or (stated.fails and other.holds)


def _span(means: Sequence[float]) -> str:
    low, high = (written(end, signed=True) for end in (min(means), max(means)))
    return low if low == high else f"{low} to {high}"
