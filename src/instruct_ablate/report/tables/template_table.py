"""Scores over a set of templates: the mean of each setting, how far wordings spread about it, and the worst of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.legend import Legend, heading
from instruct_ablate.metrics import Scores, find_measure
from instruct_ablate.report.rows.columns import compared
from instruct_ablate.report.rows.trials import Trial, Trials
from instruct_ablate.report.tables.tables import Table
from instruct_ablate.rounding import written

Named = tuple[str, float]  # a template and what was scored under it


@dataclass(frozen=True, slots=True)
class OverTemplates:
    """One setting on one measure under each of its templates, meaned over seeds."""

    trial: Trial
    measure: str
    values: tuple[Named, ...]

    @property
    def mean(self) -> float:
        """The mean over templates."""
        return statistics.fmean(value for _, value in self.values)

    @property
    def spread(self) -> float:
        """The standard deviation over templates."""
        return statistics.stdev(value for _, value in self.values)

    @property
    def worst(self) -> Named:
        """The template under which it did worst."""
        return self._ordered()[0]

    @property
    def best(self) -> Named:
        """The template under which it did best."""
        return self._ordered()[-1]

    def _ordered(self) -> list[Named]:
        sign = 1 if find_measure(self.measure).metric.higher_is_better else -1
        return sorted(self.values, key=lambda one: sign * one[1])


def over_templates(
    cells: Sequence[CellRecord], reference: str, columns: Sequence[str] = ()
) -> tuple[OverTemplates, ...]:
    """Return every setting that was tested under several templates, on each measure that is compared."""
    trials, legend = Trials(cells), Legend(cell.setting for cell in cells)
    ordered = sorted(
        trials.templates, key=lambda trial: (legend.order(trial.setting, reference), trial.tested)
    )
    found = []
    for trial in ordered:
        for measure in compared(cells, columns):
            scored = [
                (name, _mean(by_seed.values(), measure)) for name, by_seed in trials.templates[trial].items()
            ]
            values = tuple((name, value) for name, value in scored if value is not None)
            found += [OverTemplates(trial, measure, values)] if len(values) > 1 else []
    return tuple(found)


def _mean(scores: Iterable[Scores], measure: str) -> float | None:
    values = [find_measure(measure).value(one) for one in scores]
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def template_table(found: Sequence[OverTemplates], legend: Legend) -> Table:
    """Lay it out, a line a setting and measure."""
    keys = legend.columns("model", "data_budget", "instruction")
    told = (*map(heading, keys), "tested on", "metric")
    numbers = ("templates", "mean", "spread", "worst", "best")
    lines = tuple(_line(one, legend, keys) for one in found)
    return Table("Over templates", (*told, *numbers), lines, len(told))


def _line(one: OverTemplates, legend: Legend, keys: Sequence[str]) -> tuple[str, ...]:
    ends = (f"{written(value)} ({name})" for name, value in (one.worst, one.best))
    return (
        *(legend.text(one.trial.setting, key) for key in keys),
        one.trial.tested,
        one.measure,
        str(len(one.values)),
        *(written(value) for value in (one.mean, one.spread)),
        *ends,
    )
