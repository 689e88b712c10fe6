"""Measures: what tables, differences, hypotheses and figures name - a metric over one kind of task, or over all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from instruct_ablate.errors import UserError, closed
from instruct_ablate.limits import Limits, any_value, check_limits, texts
from instruct_ablate.metrics.registry import AT_REPORT, KEY, Metric, described, known_metric
from instruct_ablate.schema import ReportConfig
from instruct_ablate.scores import MetricDescription, Score, Scores, TaskScore
from instruct_ablate.tasks.task import Kind

LIMITS: Limits = {"columns": texts(), "at_end": any_value()}  # of the group `report`
DIFFERENCES = ("to_reference", "to_untuned")  # columns of the main table that are no measures
ABILITIES = ("general", "forgetting")  # of `evaluation.general`, which is no test
NO_MEASURES = (*DIFFERENCES, *ABILITIES)
# What the main table shows where `report.columns` names nothing.
USUAL = ("exact_match", "generation_rougeL", "rougeL", "format_correctness", *DIFFERENCES, "uniform_guess")
_SHORT = {"classification": "(class.)", "generation": "(gen.)"}


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric over tasks of `kind`, None: over all; its value is the mean of the tasks' means."""

    name: str
    metric: MetricDescription
    kind: Kind | None

    @property
    def heading(self) -> str:
        """What stands above its column; a line break where a narrow table may break it."""
        if self.kind is not None and self.metric.kinds == (self.kind,):
            return self.metric.heading
        return f"{self.metric.heading}\n{_SHORT[self.kind] if self.kind else '(all)'}"

    @property
    def label(self) -> str:
        """What stands at an axis: heading, kind and unit."""
        over = f"{self.kind}" if self.kind else "all tasks"
        return f"{self.metric.heading} ({over}), {self.metric.unit}".replace("\n", " ")

    @property
    def steps(self) -> str:
        """What its differences are counted in."""
        return "points" if self.percent else self.metric.unit

    @property
    def percent(self) -> bool:
        """Whether it has a floor of 0 and a ceiling of 100; any other unit is taken to have no bounds."""
        return self.metric.unit == "%"

    @property
    def digits(self) -> int:
        """Decimal places of what is rounded coarsely: a point is little, a nat is much."""
        return 1 if self.percent else 2

    def value(self, scores: Scores) -> float | None:
        """Return the mean over tasks; None where there is no such task, or the metric is not defined."""
        score = scores.task_mean if self.kind is None else _of_kind(scores, self.kind)
        return None if score is None else score.get(self.metric.name)

    def task_value(self, task: TaskScore) -> float | None:
        """Return a task's value; None for a task of another kind."""
        return task.score.get(self.metric.name) if self.kind in (None, task.kind) else None


def _of_kind(scores: Scores, kind: str) -> Score | None:
    return next((score for score in scores.kinds if score.name == kind), None)


def find_measure(name: str) -> Measure:
    """Return a measure by name: a metric's own name, or one that begins with a kind of task."""
    if (metric := known_metric(name)) is not None:
        return Measure(name, metric, metric.kinds[0] if len(metric.kinds) == 1 else None)
    for kind in get_args(Kind):
        of = name.removeprefix(f"{kind}_")
        if of != name and (metric := known_metric(of)) is not None:
            return Measure(name, metric, kind)
    raise unknown_measure("measure", name)


def measure_names() -> tuple[str, ...]:
    """Return the names of all measures, those of the metrics themselves first."""
    names = [metric.name for metric in described()]
    narrow = [
        f"{kind}_{metric.name}" for metric in described() for kind in metric.kinds if len(metric.kinds) > 1
    ]
    return (*names, *narrow)


def unknown_measure(what: str, given: str, others: Sequence[str] = ()) -> UserError:
    """Build the error for a name that is none of the measures and `others`; the kinds of tasks are said once."""
    names = sorted((*(metric.name for metric in described()), *others))
    prefixes = " or ".join(f"{kind}_" for kind in get_args(Kind))
    return UserError(
        f"unknown {what} {given!r}{closed(given, [*measure_names(), *others])} "
        f"Allowed: {', '.join(names)}; for tasks of one kind {prefixes} before a metric's name."
    )


def check_columns(config: ReportConfig) -> None:
    """Refuse columns that no report has; `report.columns` calls measures by name."""
    check_limits("report", config, LIMITS)
    names = config.columns
    known = (*measure_names(), *NO_MEASURES)
    for name in names:
        if name not in known:
            raise unknown_measure("report.columns", name, NO_MEASURES)
    if len(set(names)) < len(names):
        raise UserError(f"report.columns: {', '.join(names)}: name each column once.")


def check_shown(named: Sequence[Metric], columns: Sequence[str]) -> None:
    """Refuse metrics that were asked for by name and that no table would show: `report.columns` alone shows them.

    Those are what every record has beside the usual measures, and what a report makes of several predictions.
    """
    shown = {find_measure(name).metric.name for name in columns or USUAL if name not in NO_MEASURES}
    hidden = [
        one.name for one in named if (one.is_built_in or one.reads in AT_REPORT) and one.name not in shown
    ]
    if hidden:
        instead = ",".join((*(columns or ("exact_match", "rougeL")), *hidden))
        raise UserError(
            f"{KEY}: {', '.join(hidden)} would be in no table: that key has cells scored by further metrics, and what "
            "every record has, or a report makes of several predictions, is shown where report.columns names it: "
            f"add report.columns=[{instead}]."
        )
