"""Metrics of several predictions of one instance: over a setting's seeds, or a cell's test instructions or templates.

They are computed when a report is written and never recorded.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace

from instruct_ablate.cell.state.record.instance_scores import scored_rows
from instruct_ablate.cell.state.record.predictions import PredictionRow
from instruct_ablate.cell.state.record.record import CellRecord, ScoreBlock
from instruct_ablate.configuration.extensions import called
from instruct_ablate.errors import UserError, in_a_line
from instruct_ablate.grid.study import Study
from instruct_ablate.metrics.measures import NO_MEASURES, Measure, find_measure
from instruct_ablate.metrics.registry import AT_REPORT, KEY, Metric, registered
from instruct_ablate.metrics.scoring import checked
from instruct_ablate.report.rows.seed_means import Mean, Row

log = logging.getLogger(__name__)
Predictions = dict[tuple[str, str], PredictionRow]
Pair = tuple[CellRecord, ScoreBlock]


def with_metrics_over_cells(rows: Sequence[Row], study: Study) -> tuple[Row, ...]:
    """Add to each row the metrics of `report.columns` that read several predictions; none where there is but one."""
    known = {one.name: one for one in registered() if one.reads in AT_REPORT}
    measures = [find_measure(name) for name in study.columns if name not in NO_MEASURES]
    wanted = [(one, known[one.metric.name]) for one in measures if one.metric.name in known]
    return tuple(_added(row, study, wanted) for row in rows) if wanted else tuple(rows)


def _added(row: Row, study: Study, wanted: Sequence[tuple[Measure, Metric]]) -> Row:
    if row.clash:
        return row  # nobody can say which of its cells is meant
    try:
        groups = {reads: _groups(row, study, reads) for reads in {metric.reads for _, metric in wanted}}
    except (OSError, UserError) as fault:  # predictions that are gone, damaged or changed: not defined
        log.warning("no %s: %s", ", ".join(measure.name for measure, _ in wanted), in_a_line(fault))
        return row
    means = []
    for measure, metric in wanted:
        values = [_mean(measure, metric, sides) for sides in groups[metric.reads]]
        known = [value for value in values if value is not None]
        if known:
            deviation = statistics.stdev(known) if len(known) > 1 else None
            seeds = len(row.seeds) if metric.reads == "cells" else len(known)
            means.append((measure.name, Mean(statistics.fmean(known), deviation, seeds)))
    return replace(row, means=(*row.means, *means))


def _groups(row: Row, study: Study, reads: str) -> list[list[list[Predictions]]]:
    """Read the predictions that are held against each other, in lists that count as one value each.

    Over seeds that is one value, the mean over templates; over tests or templates it is one of each seed.
    """
    cells = sorted(study.cells, key=lambda cell: cell.seed)
    own = [
        cell
        for cell in cells
        if cell.state == "done" and cell.setting == row.setting and cell.seed in row.seeds
    ]
    if reads == "cells":
        groups = [
            _by_template(pair for cell in own for pair in _pairs(cell) if pair[1].instruction == row.tested)
        ]
    elif reads == "tests":
        groups = [_by_template(_pairs(cell)) for cell in own]
    else:
        groups = [[[pair for pair in _pairs(cell) if pair[1].instruction == row.tested]] for cell in own]
    several = [[sides for sides in group if len(sides) > 1] for group in groups]
    return [[[_read(study, *pair) for pair in sides] for sides in group] for group in several if group]


def _pairs(cell: CellRecord) -> list[Pair]:
    return [(cell, block) for block in cell.blocks]


def _by_template(pairs: Iterable[Pair]) -> list[list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for cell, block in pairs:
        found.setdefault(cell.template(block), []).append((cell, block))
    return list(found.values())


def _mean(measure: Measure, metric: Metric, groups: Sequence[Sequence[Predictions]]) -> float | None:
    values = [_value(measure, metric, sides) for sides in groups]
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _read(study: Study, cell: CellRecord, block: ScoreBlock) -> Predictions:
    rows, told = scored_rows(study.folder / cell.name, block)
    if told:
        raise UserError(f"{cell.name}: {told}")
    return {one.key: one for one in rows}


def _value(measure: Measure, metric: Metric, sides: Sequence[Predictions]) -> float | None:
    """Average over tasks what a metric gives for the instances that every side has answered."""
    tasks: dict[str, list[float]] = {}
    for key, first in sides[0].items():
        if measure.kind not in (None, first.kind) or not all(key in side for side in sides):
            continue
        texts = tuple(side[key].prediction for side in sides)
        value = checked(metric, called(KEY, metric.score, texts, first.references), texts[0])
        if value is not None:
            tasks.setdefault(first.task, []).append(100 * value if metric.unit == "%" else value)
    return statistics.fmean(map(statistics.fmean, tasks.values())) if tasks else None
