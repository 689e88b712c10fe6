"""What a prediction, a task and a whole score block scored: names and values, as frozen records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from instruct_ablate.tasks.task import Kind

KINDS: tuple[Kind, ...] = get_args(Kind)
Values = tuple[tuple[str, float], ...]
"""Metric names with their values, in the metrics' order; a metric that is not defined has no entry."""

# The fields that scores and prediction rows had before they held names and values (record version 1).
_FORMER = ("exact_match", "rouge1", "rougeL", "in_label_space", "format_correctness", "uniform_guess")
_NOW = {"in_label_space": "format_correctness"}


def value_of(values: Values, name: str) -> float | None:
    """Return a metric's value; None where it is not defined."""
    for key, value in values:
        if key == name:
            return value
    return None


def agree(one: Values, other: Values) -> bool:
    """Whether two sets of values are equal where both have a metric: one scored earlier may lack some."""
    known = dict(other)
    return all(known.get(name, value) == value for name, value in one)


def with_values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's fields with `values` in place of the fields of their own that they were in version 1."""
    if "values" in fields:
        return dict(fields)
    extra: Any = fields.get("extra") or ()
    further: Iterable[Any] = extra.items() if isinstance(extra, dict) else extra
    known = [(name, fields[name]) for name in _FORMER if fields.get(name) is not None]
    values = [[_NOW.get(name, name), float(value)] for name, value in known]
    rest = {name: value for name, value in fields.items() if name not in (*_FORMER, "extra")}
    return {**rest, "values": [*values, *([name, float(value)] for name, value in further)]}


@dataclass(frozen=True, slots=True)
class MetricDescription:
    """What is to be known of a metric without its code; records carry it, so that reports run none.

    `kinds` are the kinds of task that the measure of its name is averaged over, `reads` is what its function is
    given beside prediction and references. Values of unit "%" are multiplied by 100 when they are averaged.
    """

    name: str
    heading: str
    unit: str = "%"
    kinds: tuple[Kind, ...] = KINDS
    higher_is_better: bool = True
    reads: str = "text"
    range: tuple[float, float] | None = (0.0, 1.0)
    code: str = (
        ""  # hash of the user's file that its function stands in; empty: ours, or not noted by a record
    )


@dataclass(frozen=True, slots=True)
class InstanceScore:
    """The values of one prediction, each in its metric's own range ([0, 1] unless the metric says otherwise)."""

    values: Values = ()

    def get(self, name: str) -> float | None:
        """Return a metric's value; None where it is not defined."""
        return value_of(self.values, name)


@dataclass(frozen=True, slots=True)
class Score:
    """Means over instances or tasks: percent for metrics whose unit that is."""

    name: str
    instances: int
    values: Values = ()

    def get(self, name: str) -> float | None:
        """Return a metric's mean; None where it is defined for none of the instances."""
        return value_of(self.values, name)

    @staticmethod
    def brought_up(fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a score as of now, also of one written by version 1."""
        return with_values(fields)


NO_SCORE = Score("", 0)


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one score block.

    `overall` averages over instances (Tk-Instruct); `task_mean` averages the tasks' means (Kung & Peng).
    `kinds` holds classification and generation, averaged per task. `tasks` carry "kind" and "category" too.
    """

    overall: Score
    task_mean: Score
    kinds: tuple[Score, ...]
    categories: tuple[Score, ...]
    tasks: tuple[TaskScore, ...]

    @property
    def every(self) -> tuple[Score, ...]:
        """Every mean that a table may show, called by what it is of, in the order of these names."""
        found = [("overall", self.overall), ("task mean", self.task_mean)]
        found += [(f"kind {one.name}", one) for one in self.kinds]
        found += [(f"category {one.name}", one) for one in self.categories]
        found += [(f"task {one.score.name}, {one.kind}, {one.category}", one.score) for one in self.tasks]
        return tuple(replace(one, name=name) for name, one in sorted(found, key=lambda pair: pair[0]))


@dataclass(frozen=True, slots=True)
class TaskScore:
    """The score of one task."""

    kind: str
    category: str
    score: Score
