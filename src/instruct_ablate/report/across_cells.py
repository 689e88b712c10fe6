"""Metrics that read several cells: computed when a report is written, over the seeds of one setting; never recorded."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

from instruct_ablate.cell.state.predictions import PredictionRow, read_predictions
from instruct_ablate.errors import UserError
from instruct_ablate.grid.study import Study
from instruct_ablate.metrics.measures import DIFFERENCES, Measure, find_measure
from instruct_ablate.metrics.registry import Metric, registered
from instruct_ablate.metrics.scoring import checked
from instruct_ablate.report.rows import Mean, Row
from instruct_ablate.whole_files import inside

Predictions = dict[tuple[str, str], PredictionRow]


def with_metrics_over_cells(rows: Sequence[Row], study: Study) -> tuple[Row, ...]:
    """Add to each row the metrics of `report.columns` that read several cells; none with fewer than two seeds."""
    known = {one.name: one for one in registered() if one.reads == "cells"}
    measures = [find_measure(name) for name in study.columns if name not in DIFFERENCES]
    wanted = [(one, known[one.metric.name]) for one in measures if one.metric.name in known]
    return tuple(_added(row, study, wanted) for row in rows) if wanted else tuple(rows)


def _added(row: Row, study: Study, wanted: Sequence[tuple[Measure, Metric]]) -> Row:
    if len(row.seeds) < 2:
        return row
    try:
        sides = _sides(row, study)
    except (OSError, UserError):
        return row  # predictions that are gone or damaged: not defined
    means = [(one.name, mean) for one, metric in wanted if (mean := _mean(one, metric, sides)) is not None]
    return replace(row, means=(*row.means, *means))


def _sides(row: Row, study: Study) -> list[Predictions]:
    """Read a row's predictions, seed by seed."""
    return [
        {one.key: one for one in read_predictions(inside(study.folder / cell.name, block.predictions))}
        for cell in sorted(study.cells, key=lambda cell: cell.seed)
        if cell.state == "done" and cell.setting == row.setting
        for block in cell.blocks
        if block.instruction == row.tested
    ]


def _mean(measure: Measure, metric: Metric, sides: Sequence[Predictions]) -> Mean | None:
    """Average over tasks what a metric gives for the instances that every seed has answered."""
    tasks: dict[str, list[float]] = {}
    for key, first in sides[0].items():
        if measure.kind not in (None, first.kind) or not all(key in side for side in sides):
            continue
        texts = tuple(side[key].prediction for side in sides)
        value = checked(metric, metric.score(texts, first.references), texts[0])
        if value is not None:
            tasks.setdefault(first.task, []).append(100 * value if metric.unit == "%" else value)
    if not tasks:
        return None
    return Mean(statistics.fmean(map(statistics.fmean, tasks.values())), None, len(sides))
