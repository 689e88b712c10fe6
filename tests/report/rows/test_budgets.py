"""Budgets that are not met: the same words in a plan and below a table."""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.cell.state.record.record import Drawn
from instruct_ablate.report.rows.budgets import planned_unmet, unmet_budgets, unmet_lines, unmet_tasks
from tests.report.cells import make_cell, place


def test_a_plan_says_what_a_table_will() -> None:
    wide = place(**{"data_budget": 100, "data_budget.tasks": 6})
    draws = [(wide, Drawn(4, 200)), (wide, Drawn(4, 240)), (place(data_budget=10), Drawn(4, 40))]
    assert [*planned_unmet(draws)] == [
        "budget: data_budget=100 comes to 55 instances a task on average, for tasks have no more instances",
        "budget: data_budget.tasks=6 comes to 4, for there are no more to train on",
    ]
    cells = [replace(make_cell(1.0), setting=setting, drawn=drawn) for setting, drawn in draws]
    instances, tasks = unmet_budgets(cells), unmet_tasks(cells)
    told = unmet_lines((setting, instances.get(setting), tasks.get(setting)) for setting in (wide,))
    assert [f"budget: {line.replace('came', 'comes')}" for line in told] == [*planned_unmet(draws[:2])]
    assert [*planned_unmet([])] == []
