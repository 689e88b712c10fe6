"""A study as pandas data frames: the numbers of its report, worked out by the same code, for notebooks and scripts."""

from __future__ import annotations

import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.cell.state.record.instance_scores import scored_rows
from instruct_ablate.cell.state.record.predictions import PredictionRow
from instruct_ablate.cell.state.record.record import CellRecord, ScoreBlock
from instruct_ablate.report.report import Report, judge_study
from instruct_ablate.report.rows.columns import COLLECTION
from instruct_ablate.report.tables.differences import Difference
from instruct_ablate.report.tables.tables import place_values, tidy
from instruct_ablate.report.verdicts.verdicts import Verdict, details

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


class StudyFrames:
    """A study as it stood on disk when it was loaded; load it again to see what has been done since."""

    def __init__(self, folder: Path) -> None:
        self._report: Report = judge_study(folder)

    @property
    def folder(self) -> Path:
        """The study's folder."""
        return self._report.study.folder

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row a cell: name, identity, state, its whole setting by key, seed, and why it failed if it did."""
        return _frame([_cell(cell) for cell in self._report.study.cells], _CELL)

    def scores(self) -> pd.DataFrame:
        """One row a done cell, test instruction, template and task, with every metric: what `tidy.parquet` holds."""
        return _frame(list(tidy(self._report.study.cells)), (*_CELL[:2], "tested_on", "task", "instances"))

    def predictions(self) -> pd.DataFrame:
        """One row a prediction of a done cell: prompt, text, references and scores.

        A file that was changed after it was scored is warned of: its rows are not those of the report.
        """
        rows = [
            {**_where(cell, block), **_prediction(row)}
            for cell in self._report.study.cells
            for block in (cell.blocks if cell.state == "done" else ())
            for row in self._rows(cell, block)
        ]
        return _frame(rows, ("cell", "tested_on", "template", *_PREDICTION))

    def _rows(self, cell: CellRecord, block: ScoreBlock) -> tuple[PredictionRow, ...]:
        rows, told = scored_rows(self.folder / cell.name, block)
        if told:
            log.warning("%s: %s", cell.name, told)
        return rows

    def differences(self) -> pd.DataFrame:
        """One row a setting and metric, less its reference: the report's `differences` as numbers."""
        return _frame([_difference(one) for one in self._report.differences], ("metric", *_TESTED))

    def verdicts(self) -> pd.DataFrame:
        """One row a hypothesis: its text, the answer, and the report's lines that say why."""
        return _frame(
            [verdict_fields(one) for one in self._report.verdicts], ("hypothesis", "answer", "details")
        )


_CELL = ("cell", "identity", "state", "seed", "failure")
_PREDICTION = (
    "task",
    "category",
    "kind",
    "instance_id",
    "prompt",
    "prediction",
    "references",
    "truncated",
    "cut",
)
_TESTED = ("difference", "low", "high", "p_difference", "p_equivalence", "seeds", "tasks")


def _frame(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    """Build a frame; one without rows has the usual columns all the same."""
    import pandas as pd

    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(columns))


def _cell(cell: CellRecord) -> dict[str, Any]:
    failure = cell.failure.reason if cell.failure and cell.state != "done" else ""
    named = {"cell": cell.name, "identity": cell.identity, "state": cell.state}
    return {**named, **place_values(cell), "failure": failure}


def _where(cell: CellRecord, block: ScoreBlock) -> dict[str, Any]:
    return {"cell": cell.name, "tested_on": block.instruction, "template": block.key.template}


def _prediction(row: PredictionRow) -> dict[str, Any]:
    place = (row.task, row.category, row.kind, row.instance_id, row.prompt, row.prediction)
    values = (*place, list(row.references), row.truncated, row.cut)
    return {**dict(zip(_PREDICTION, values, strict=True)), **dict(row.values)}


def verdict_fields(one: Verdict) -> dict[str, Any]:
    """Return a hypothesis, its answer, and the report's lines that say why."""
    return {"hypothesis": one.hypothesis.text, "answer": one.answer, "details": list(details(one))}


def _difference(one: Difference) -> dict[str, Any]:
    setting = one.trial.setting
    values = {COLLECTION if key == "tasks" else key: setting.text(key) for key in setting.keys}
    contents = {f"{key}@": revision for key, revision in setting.revisions}
    return {**values, **contents, **difference_fields(one)}


def difference_fields(one: Difference) -> dict[str, Any]:
    """Return a difference under its test instruction and metric, unrounded."""
    comparison = one.comparison
    low, high = comparison.interval95
    values = (
        comparison.mean,
        low,
        high,
        one.p_difference,
        one.p_equivalence,
        comparison.seeds,
        comparison.units,
    )
    tested = dict(zip(_TESTED, values, strict=True))
    return {"tested_on": one.trial.tested, "metric": one.metric, **tested}
