"""What `--json` prints: the fields of docs/json.md, from the values that the tables are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.cell.state.setting.trained_on import budget_on_axis
from instruct_ablate.grid.status import cell_statuses
from instruct_ablate.grid.study import Study, read_study
from instruct_ablate.report.frames import difference_fields, verdict_fields
from instruct_ablate.report.rows.computed import apart_in
from instruct_ablate.report.rows.seed_means import Mean, Row
from instruct_ablate.report.tables.general import General
from instruct_ablate.report.tables.power_laws import OverBudgets
from instruct_ablate.report.tables.tables import Table
from instruct_ablate.report.tables.template_table import OverTemplates, over_templates

if TYPE_CHECKING:
    from instruct_ablate.grid.planning.plan import PlannedCell
    from instruct_ablate.report.report import Report

Fields = dict[str, Any]


def setting_fields(setting: Setting) -> Fields:
    """Return every key of a setting with its value: a number, a text, a flag, a list, or null.

    A budget that no number says is "all", or null where it is one of examples in all.
    """
    return {
        key: budget_on_axis(setting) if key == "data_budget" else setting.get(key) for key in setting.keys
    }


def place_fields(setting: Setting) -> Fields:
    """Return a setting, and the contents of what it names: two data sets may have one name."""
    return {"setting": setting_fields(setting), "revisions": dict(setting.revisions)}


def status_fields(folder: Path) -> Fields:
    """Return the cells of a study by state."""
    study = read_study(folder)
    records = {record.name: record for record in study.cells}
    cells = [
        {
            **asdict(line),
            "identity": records[line.name].identity,
            "seed": records[line.name].seed,
            **place_fields(records[line.name].setting),
        }
        for line in cell_statuses(study)
    ]
    return {"study": study.name, "cells": cells}


def plan_fields(cells: Sequence[PlannedCell], lines: Iterable[str]) -> Fields:
    """Return the cells of a grid in their order, with what each will take; `lines` are the sums in words."""
    told = [
        {
            "name": one.cell.identity.name,
            "identity": one.cell.identity.hash,
            "seed": one.cell.identity.seed,
            **place_fields(one.cell.identity.setting),
            "state": one.state,
            "fits": one.fits,
            **asdict(one.estimate),
        }
        for one in cells
    ]
    return {"cells": told, "lines": list(lines)}


def report_fields(report: Report) -> Fields:
    """Return a report: rows of the main table, differences, verdicts, and where the files are."""
    study: Study = report.study
    return {
        "study": study.name,
        "reference": study.reference,
        "rows": [_row(row) for row in report.rows],
        "differences": [
            {**place_fields(one.trial.setting), **difference_fields(one)} for one in report.differences
        ],
        "templates": [
            {**place_fields(one.trial.setting), **_over_templates(one)}
            for one in over_templates(study.cells, study.reference, study.columns)
        ],
        "general": [{**place_fields(one.trial.setting), **_general(one)} for one in report.general],
        "power_laws": [
            {**place_fields(one.trial.setting), **_over_budgets(one)} for one in report.power_laws
        ],
        "verdicts": [verdict_fields(one) for one in report.verdicts],
        "apart": list(apart_in(study)),
        "changed": list(report.changed),
        "folder": str(report.folder),
    }


def _row(row: Row) -> Fields:
    return {
        **place_fields(row.setting),
        "tested_on": row.tested,
        "seeds": list(row.seeds),
        "means": {name: _mean(mean) for name, mean in row.means},
        "to_reference": _mean(row.to_reference),
        "to_untuned": _mean(row.to_untuned),
        "general": _mean(row.general),
        "forgetting": _mean(row.forgetting),
        "clash": list(row.clash),
        "uneven": row.uneven,
        "same_answers": list(row.same),
        "unfinished": dict(row.unfinished),
        "templates": row.templates,
        "ways": list(row.ways),
        "unmet": row.unmet,
        "unmet_tasks": row.unmet_tasks,
    }


def _over_templates(one: OverTemplates) -> Fields:
    return {
        "tested_on": one.trial.tested,
        "metric": one.measure,
        "mean": one.mean,
        "spread": one.spread,
        "worst": one.worst[0],
        "values": dict(one.values),
    }


def _general(one: General) -> Fields:
    low, high = one.interval or (None, None)
    p = None if math.isnan(one.p_difference) else one.p_difference
    tasks = one.comparison.units if one.comparison else None
    told = {"general": _mean(one.score), "untuned": _mean(one.untuned), "forgetting": _mean(one.forgetting)}
    return {**told, "low": low, "high": high, "p_difference": p, "tasks": tasks}


def _over_budgets(one: OverBudgets) -> Fields:
    given = {
        "tested_on": one.trial.tested,
        "metric": one.measure,
        "over": one.key,
        "budgets": list(one.budgets),
    }
    return {**given, "seeds": one.seeds, "tasks": one.tasks, **asdict(one.law)}


def _mean(mean: Mean | None) -> Fields | None:
    return None if mean is None else asdict(mean)


def comparison_fields(table: Table, lines: Iterable[str]) -> Fields:
    """Return a comparison of two studies, line by line under its headings; `lines` say what else is not the same."""
    told = [dict(zip(table.headings, line, strict=True)) for line in table.lines]
    return {"title": table.title, "lines": told, "notes": list(lines)}
