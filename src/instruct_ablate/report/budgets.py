"""Budgets as they were given and as they came out: tasks can have fewer instances than a budget asks for.

A curve over budgets is one over what was trained on: 256 instances of tasks that have 100 are 100.
"""

from __future__ import annotations

from collections.abc import Iterable

from instruct_ablate.cell.state.record import CellRecord
from instruct_ablate.cell.state.setting import Setting
from instruct_ablate.tasks.budget import ALL

KEYS = ("data_budget", "data_budget.total")
SLACK = 0.01  # of a budget: where so little is missing, it is as good as met


def given_budget(setting: Setting) -> tuple[str, int]:
    """Return the key and the number of a budget: instances per task, or examples in all."""
    total = setting.get(KEYS[1])
    return (KEYS[1], total) if isinstance(total, int) else (KEYS[0], setting.budget)


def unmet_budgets(cells: Iterable[CellRecord]) -> dict[Setting, float]:
    """Return what budgets came to that were not met: instances per task, or in all, on average over done cells."""
    sizes: dict[Setting, list[float]] = {}
    for cell in cells:
        key, wanted = given_budget(cell.setting)
        if cell.state == "done" and cell.drawn is not None and cell.drawn.tasks and wanted < ALL:
            of = 1 if key == KEYS[1] else cell.drawn.tasks
            sizes.setdefault(cell.setting, []).append(cell.drawn.instances / of)
    means = {setting: sum(own) / len(own) for setting, own in sizes.items()}
    return {setting: size for setting, size in means.items() if size < (1 - SLACK) * given_budget(setting)[1]}


def unmet_line(found: Iterable[tuple[Setting, float | None]]) -> str | None:
    """Say for a caption which budgets were not met, and what they came to; None where all were."""
    told: dict[tuple[str, int], set[float]] = {}
    for setting, size in found:
        if size is not None:
            told.setdefault(given_budget(setting), set()).add(size)
    parts = [
        f"{key}={wanted} came to {' to '.join(dict.fromkeys(map(shown, (min(sizes), max(sizes)))))} "
        f"{'in all' if key == KEYS[1] else 'instances a task on average'}"
        for (key, wanted), sizes in sorted(told.items())
    ]
    return f"{'; '.join(parts)}: tasks have no more" if parts else None


def shown(size: float) -> str:
    """Write a number of instances: a mean over tasks with one decimal place."""
    return f"{size:.1f}".removesuffix(".0")
