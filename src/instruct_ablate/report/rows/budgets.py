"""Budgets as they were given and as they came out: tasks can have fewer instances than a budget asks for.

A curve over budgets is one over what was trained on: 256 instances of tasks that have 100 are 100.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from instruct_ablate.cell.state.record.record import CellRecord, Drawn
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.tasks.sampling.budget import ALL

KEYS = ("data_budget", "data_budget.total")
TASKS = "data_budget.tasks"
Draws = Iterable[tuple[Setting, Drawn]]  # of cells: what each is trained on, and of which setting it is
SLACK = 0.01  # of a budget: where so little is missing, it is as good as met


def given_budget(setting: Setting) -> tuple[str, int]:
    """Return the key and the number of a budget: instances per task, or examples in all."""
    total = setting.get(KEYS[1])
    return (KEYS[1], total) if isinstance(total, int) else (KEYS[0], setting.budget)


def unmet_budgets(cells: Iterable[CellRecord]) -> dict[Setting, float]:
    """Return what budgets came to that were not met: instances per task, or in all, on average over done cells."""
    return _unmet(_done(cells))


def _unmet(draws: Draws) -> dict[Setting, float]:

    def size(setting: Setting, drawn: Drawn) -> float | None:
        key, wanted = given_budget(setting)
        # data_budget=all asks for what there is, which is always met.
        if not drawn.tasks or wanted >= ALL:
            return None
        return drawn.instances / (1 if key == KEYS[1] else drawn.tasks)

    means = _means(draws, size)
    return {setting: mean for setting, mean in means.items() if mean < (1 - SLACK) * given_budget(setting)[1]}


def unmet_tasks(cells: Iterable[CellRecord]) -> dict[Setting, float]:
    """Return how many tasks were trained on, on average over done cells, where `data_budget.tasks` asks for more."""
    return _fewer(_done(cells))


def _fewer(draws: Draws) -> dict[Setting, float]:
    means = _means(draws, lambda setting, drawn: drawn.tasks if _whole(setting.get(TASKS)) else None)
    return {setting: mean for setting, mean in means.items() if mean < _whole(setting.get(TASKS))}


def _done(cells: Iterable[CellRecord]) -> Draws:
    return ((cell.setting, cell.drawn) for cell in cells if cell.state == "done" and cell.drawn is not None)


def _means(draws: Draws, of: Callable[[Setting, Drawn], float | None]) -> dict[Setting, float]:
    """Return the mean of a number over what was drawn for each setting that has it."""
    found: dict[Setting, list[float]] = {}
    for setting, drawn in draws:
        if (number := of(setting, drawn)) is not None:
            found.setdefault(setting, []).append(number)
    return {setting: sum(own) / len(own) for setting, own in found.items()}


def planned_unmet(draws: Draws) -> Iterator[str]:
    """Say before a grid runs which of its budgets cannot be met: settings, each with what is drawn for a cell."""
    every = tuple(draws)
    instances, tasks = _unmet(every), _fewer(every)
    rows = [
        (setting, instances.get(setting), tasks.get(setting))
        for setting in dict.fromkeys(one for one, _ in every)
    ]
    for line in unmet_lines(rows, "comes"):
        yield f"budget: {line}"


def unmet_lines(
    rows: Iterable[tuple[Setting, float | None, float | None]], verb: str = "came"
) -> Iterator[str]:
    """Say for a caption which budgets were not met, and what they came to: settings, their instances, their tasks."""
    every = tuple(rows)
    instances = _came_to(((*given_budget(setting), size) for setting, size, _ in every), verb)
    tasks = _came_to(((TASKS, _whole(setting.get(TASKS)), count) for setting, _, count in every), verb)
    if instances:
        yield f"{instances}, for tasks have no more instances"
    if tasks:
        spread = any(count is not None and setting.get(KEYS[1]) is not None for setting, _, count in every)
        why = (
            f"there are no more, or {KEYS[1]} has no example for them"
            if spread
            else "there are no more to train on"
        )
        yield f"{tasks}, for {why}"


def _came_to(given: Iterable[tuple[str, int, float | None]], verb: str) -> str:
    """Say what numbers at a key came to; empty where all were met."""
    found: dict[tuple[str, int], list[float | None]] = {}
    for key, wanted, size in given:
        found.setdefault((key, wanted), []).append(size)
    parts = []
    for (key, wanted), sizes in sorted(found.items()):
        if less := [size for size in sizes if size is not None]:
            of = " instances a task on average" if key == KEYS[0] else " in all" if key == KEYS[1] else ""
            rows = " in some rows" if len(less) < len(sizes) else ""
            parts.append(f"{key}={wanted} {verb} to {span(less)}{of}{rows}")
    return "; ".join(parts)


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def span(sizes: Collection[float]) -> str:
    """Write the least and the largest of some numbers, once where they are written alike."""
    return " to ".join(dict.fromkeys(map(shown, (min(sizes), max(sizes)))))


def shown(size: float) -> str:
    """Write a number of instances: a mean over tasks with one decimal place."""
    return f"{size:.1f}".removesuffix(".0")
