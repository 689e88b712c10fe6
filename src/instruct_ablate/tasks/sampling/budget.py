"""The data budget: a nested, seeded sample of the training tasks and of each task's instances."""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from instruct_ablate.errors import UserError
from instruct_ablate.limits import check_limits, whole
from instruct_ablate.plural import counted, have, named
from instruct_ablate.schema import BudgetConfig, TasksConfig
from instruct_ablate.tasks.sampling import few_shot
from instruct_ablate.tasks.task import Part, Task

FILTERS = ("language", "categories", "include", "split")
ALL = 1_000_000_000  # data_budget=all: nobody counts on having so many
OF_TASKS = "data_budget.tasks"  # what a note of too few tasks begins with
OF_TOTAL = "data_budget.total"  # and one of too few instances in all
LIMITS = {
    "instances_per_task": whole(0, hint=": 0 is the untuned model"),
    "tasks": whole(1).or_null("for all"),
    "categories": whole(1).or_null("for all"),
    "total": whole(1).or_null("for instances_per_task of every task"),
    "repeat": whole(1),
}


@dataclass(frozen=True, slots=True)
class Budgeted:
    """The tasks left by a budget, each with the instances left, and what could not be met."""

    tasks: tuple[Task, ...]
    notes: tuple[str, ...] = ()


def check(config: BudgetConfig) -> None:
    """Refuse numbers that draw nothing, and repetitions that do not divide what is shown."""
    check_limits("data_budget", config, LIMITS)
    key, shown = _shown(config)
    if config.repeat == 1 or config.instances_per_task == 0:
        return
    if config.total is None and shown >= ALL:
        raise UserError(
            f"data_budget.repeat={config.repeat}: with all instances there is no number to hold fixed. Give a number: "
            f"data_budget={8 * config.repeat}, or data_budget.total."
        )
    if shown % config.repeat:
        raise UserError(
            f"data_budget.repeat={config.repeat}: {key}={shown} is no multiple of it, so that examples could not all "
            f"be shown {config.repeat} times: give {shown + -shown % config.repeat}."
        )


def canonical(config: BudgetConfig) -> BudgetConfig:
    """Return the budget with what a total leaves no meaning at a constant."""
    return config if config.total is None else replace(config, instances_per_task=ALL)


def hangs_on_seed(config: BudgetConfig) -> bool:
    """Whether the seed decides how many instances are drawn: it does where it chooses among tasks."""
    return config.tasks is not None or config.categories is not None


def _shown(config: BudgetConfig) -> tuple[str, int]:
    """Return how many examples are to be shown, of every task or in all, and under which key that stands."""
    if config.total is not None:
        return "data_budget.total", config.total
    return "data_budget", config.instances_per_task


def check_trainable(tasks: Sequence[Task], config: TasksConfig) -> None:
    """Refuse training tasks without an instance among them."""
    if not any(task.instances for task in tasks):
        filters = {name: value for name in (*FILTERS, "train_split") if (value := vars(config)[name])}
        given = ", ".join(f"tasks.{name}={value}" for name, value in filters.items()) or "no filter"
        raise UserError(
            f"there is nothing to train on: no training task has an instance ({given}). Widen the choice, or test "
            "the untuned model: data_budget=0."
        )


def check_shots(tasks: Sequence[Task], config: TasksConfig, budget: BudgetConfig) -> None:
    """Refuse a budget that a test task has too few instances for, where test tasks are trained on."""
    wanted = budget.instances_per_task // budget.repeat
    least = 1 if wanted >= ALL else wanted
    short = [task for task in tasks if len({instance.id for instance in task.instances}) < least]
    if few_shot.asked(config) and short:
        raise UserError(
            f"tasks.train_on=test_task: beside the {config.test_instances} tested ones, {counted(len(short), 'task')} "
            f"{have(len(short))} fewer than data_budget={wanted} instances: {_named(short)}. Lower "
            "data_budget or tasks.test_instances, or "
            "choose other tasks (tasks.test_include)."
        )


def check_parts(tasks: Sequence[Task], config: BudgetConfig) -> None:
    """Refuse weights of a mixture's parts where there is no total to divide."""
    if config.total is None and config.instances_per_task and any(task.part for task in tasks):
        raise UserError(
            "tasks.weights divides the examples among the parts of a mixture, and needs to know how many there are: "
            "give data_budget.total=N."
        )


def sample(tasks: Sequence[Task], config: BudgetConfig, seed: int) -> Budgeted:
    """Draw tasks and, of each, instances. A smaller budget is contained in a larger one of the same seed.

    What is drawn of a task depends on the seed and the task's name alone, not on its neighbours or their order; how
    many, where a total is spread over the tasks, on them too.
    """
    check(config)
    if config.instances_per_task == 0:
        return Budgeted(())
    check_parts(tasks, config)
    chosen, notes = _choose(tasks, config, seed)
    counts = _counts(chosen, config)
    kept = tuple(_cut(task, counts[task.name], seed) for task in tasks if counts.get(task.name))
    notes += _shortages(kept, config)
    return Budgeted(tuple(_repeated(task, config.repeat) for task in kept), tuple(notes))


def unmet(tasks: Sequence[Task], config: BudgetConfig) -> tuple[str, ...]:
    """Say what of a budget the tasks do not come to, as `sample` does, without drawing.

    Where the seed chooses the tasks, of their number alone.
    """
    if config.instances_per_task == 0:
        return ()
    chosen, notes = _choose(tasks, config, 0)
    if hangs_on_seed(config):
        return tuple(notes)
    counts = _counts(chosen, config)
    there = [task.only(task.instances[: counts[task.name]]) for task in tasks if counts.get(task.name)]
    return (*notes, *_shortages(there, config))


def _counts(chosen: Sequence[Task], config: BudgetConfig) -> dict[str, int]:
    """Return how many different instances of each task are to be drawn."""
    distinct = _shown(config)[1] // config.repeat
    return {task.name: distinct for task in chosen} if config.total is None else _divided(chosen, distinct)


def _choose(tasks: Sequence[Task], config: BudgetConfig, seed: int) -> tuple[list[Task], list[str]]:
    """Return the tasks that are trained on, in the order of the draw, and what could not be met."""
    notes = []
    ranked = sorted(tasks, key=lambda task: _rank(seed, task.name))
    if config.categories is not None:
        there = {task.category for task in tasks}
        if config.categories > len(there):
            notes.append(
                f"data_budget.categories={config.categories}: the training tasks have {len(there)}; all are used."
            )
        ranked = _by_turns(ranked, config.categories, seed)
    wanted = len(ranked) if config.tasks is None else config.tasks
    if wanted > len(ranked):
        notes.append(
            f"{OF_TASKS}={wanted}: the collection has {counted(len(ranked), 'training task')}; all are used."
            if config.categories is None
            else f"{OF_TASKS}={wanted}: {config.categories} categories have "
            f"{counted(len(ranked), 'training task')}; "
            "all are used."
        )
    return ranked[:wanted], notes


def _by_turns(ranked: Sequence[Task], count: int, seed: int) -> list[Task]:
    """Return the tasks of so many categories, one of each in turn: any number of them is of as many as it can be."""
    groups: dict[str, list[Task]] = {}
    for task in ranked:
        groups.setdefault(task.category, []).append(task)
    # Marked, or a category would be drawn by the same number as a task of its name.
    drawn = sorted(groups, key=lambda name: _rank(seed, f"category\0{name}"))[:count]
    turns = [(turn, at, task) for at, name in enumerate(drawn) for turn, task in enumerate(groups[name])]
    return [task for _, _, task in sorted(turns, key=lambda one: one[:2])]


def _divided(ranked: Sequence[Task], total: int) -> dict[str, int]:
    """Divide a total among the parts of a mixture by their weights, where it has some, and in each among its tasks."""
    groups: dict[Part | None, list[Task]] = {}
    for task in ranked:
        groups.setdefault(task.part, []).append(task)
    weights = {part: 1.0 if part is None else part.weight for part in groups}
    # Shares are dealt out one by one: a total of a billion would take minutes for examples that are not there.
    shares = _shares(weights, min(total, _most(weights, groups)))
    return {name: n for part, tasks in groups.items() for name, n in _spread(tasks, shares[part]).items()}


def _most(weights: Mapping[Part | None, float], groups: Mapping[Part | None, Sequence[Task]]) -> int:
    """Return a total that gives every part all that it has, and more than which changes nothing."""
    every = sum(weights.values())
    there = {part: sum(len(task.instances) for task in tasks) for part, tasks in groups.items()}
    needed = (there[part] * every / weight for part, weight in weights.items() if weight)
    return int(max(needed, default=0)) + 2 * len(weights)


def _shares(weights: Mapping[Part | None, float], total: int) -> dict[Part | None, int]:
    """Round shares by Sainte-Laguë's method, under which a larger total gives no part less."""
    shares = dict.fromkeys(weights, 0)
    # Of equal claims the part that is named first comes first; parts themselves have no order to compare by.
    queue = [(1 / weight, at, part) for at, (part, weight) in enumerate(weights.items()) if weight]
    heapq.heapify(queue)
    for _ in range(total if queue else 0):
        _, at, part = queue[0]
        shares[part] += 1
        heapq.heapreplace(queue, ((2 * shares[part] + 1) / weights[part], at, part))
    return shares


def _spread(ranked: Sequence[Task], total: int) -> dict[str, int]:
    """Divide a total among tasks as evenly as their instances allow; a smaller one gives none of them more."""
    counts = {task.name: 0 for task in ranked}
    open_tasks = list(ranked)
    left = total
    while left and (open_tasks := [task for task in open_tasks if counts[task.name] < len(task.instances)]):
        room = min(len(task.instances) - counts[task.name] for task in open_tasks)
        step = min(room, left // len(open_tasks))
        for task in open_tasks if step else open_tasks[:left]:
            counts[task.name] += step or 1
            left -= step or 1
    return counts


def _rank(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=16).digest()


def _cut(task: Task, count: int, seed: int) -> Task:
    # All are shuffled and the first ones taken, not so many drawn: a smaller budget is then part of a larger one.
    order = list(range(len(task.instances)))
    random.Random(_rank(seed, task.name)).shuffle(order)
    return task.only([task.instances[position] for position in order[:count]])


def _repeated(task: Task, times: int) -> Task:
    """Return the task with its instances so many times over: the one place where ids are not each of one row."""
    return task if times == 1 else replace(task, instances=tuple(task.instances) * times)


def _shortages(drawn: Sequence[Task], config: BudgetConfig) -> list[str]:
    """Say where fewer instances are there than were wanted, of a task or in all."""
    wanted = _shown(config)[1] // config.repeat
    if config.total is not None:
        there = sum(len(task.instances) for task in drawn)
        return [f"{_wanted('total', config)}: there are {there}"] if there < wanted else []
    short = [task for task in drawn if len(task.instances) < wanted]
    if not short or wanted >= ALL:
        return []
    used = "is used as it is" if len(short) == 1 else "are used as they are"
    few = f"{counted(len(short), 'task')} {have(len(short))} fewer and {used}"
    return [f"{_wanted('instances_per_task', config)}: {few}: {_named(short)}"]


def _wanted(key: str, config: BudgetConfig) -> str:
    given = f"data_budget.{key}={vars(config)[key]}"
    return given if config.repeat == 1 else f"{given}, each shown {config.repeat} times"


def _named(tasks: Sequence[Task]) -> str:
    return named([f"{task.name} ({len(task.instances)})" for task in tasks], 5)
