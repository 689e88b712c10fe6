"""The data budget: a nested, seeded sample of the training tasks and of each task's instances."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from instruct_ablate.errors import UserError
from instruct_ablate.limits import check_limits, whole
from instruct_ablate.schema import BudgetConfig, TasksConfig
from instruct_ablate.tasks import few_shot
from instruct_ablate.tasks.task import Task

FILTERS = ("language", "categories", "include", "split")
ALL = 1_000_000_000  # data_budget=all: nobody counts on having so many
LIMITS = {
    "instances_per_task": whole(0, hint=": 0 is the untuned model"),
    "tasks": whole(1).or_null("for all"),
}


@dataclass(frozen=True, slots=True)
class Budgeted:
    """The tasks left by a budget, each with the instances left, and what could not be met."""

    tasks: tuple[Task, ...]
    notes: tuple[str, ...] = ()


def check(config: BudgetConfig) -> None:
    """Refuse a negative number of instances and fewer than one task."""
    check_limits("data_budget", config, LIMITS)


def check_trainable(tasks: Sequence[Task], config: TasksConfig) -> None:
    """Refuse training tasks without an instance among them."""
    if not any(task.instances for task in tasks):
        filters = {name: value for name in FILTERS if (value := vars(config)[name])}
        given = ", ".join(f"tasks.{name}={value}" for name, value in filters.items()) or "no filter"
        raise UserError(
            f"there is nothing to train on: no training task has an instance ({given}, tasks.train_split="
            f"{config.train_split}). Widen the choice, or test the untuned model: data_budget=0."
        )


def check_shots(tasks: Sequence[Task], config: TasksConfig, budget: BudgetConfig) -> None:
    """Refuse a budget that a test task has too few instances for, where test tasks are trained on."""
    wanted = budget.instances_per_task
    short = [task for task in tasks if len(task.instances) < (1 if wanted >= ALL else wanted)]
    if few_shot.asked(config) and short:
        raise UserError(
            f"tasks.train_on=test_task: beside the {config.test_instances} tested ones, {len(short)} tasks have fewer "
            f"than data_budget={wanted} instances: {_named(short)}. Lower data_budget or tasks.test_instances, or "
            "choose other tasks (tasks.test_include)."
        )


def sample(tasks: Sequence[Task], config: BudgetConfig, seed: int) -> Budgeted:
    """Draw tasks and, of each, instances. A smaller budget is contained in a larger one of the same seed.

    What is drawn of a task depends on the seed and the task's name alone, not on its neighbours or their order.
    """
    check(config)
    if config.instances_per_task == 0:
        return Budgeted(())
    notes = []
    wanted = len(tasks) if config.tasks is None else config.tasks
    if wanted > len(tasks):
        notes.append(
            f"data_budget.tasks={wanted}: the collection has {len(tasks)} training tasks; all are used."
        )
    ranked = sorted(tasks, key=lambda task: _rank(seed, task.name))[:wanted]
    chosen = {task.name for task in ranked}
    kept = tuple(_cut(task, config.instances_per_task, seed) for task in tasks if task.name in chosen)
    short = [task for task in kept if len(task.instances) < config.instances_per_task]
    if short and config.instances_per_task < ALL:
        notes.append(_shortage(short, config.instances_per_task))
    return Budgeted(kept, tuple(notes))


def _rank(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=16).digest()


def _cut(task: Task, count: int, seed: int) -> Task:
    order = list(range(len(task.instances)))
    random.Random(_rank(seed, task.name)).shuffle(order)
    return task.only([task.instances[position] for position in order[:count]])


def _shortage(short: Sequence[Task], wanted: int) -> str:
    few = f"{len(short)} tasks have fewer and are used as they are"
    return f"data_budget.instances_per_task={wanted}: {few}: {_named(short)}"


def _named(tasks: Sequence[Task]) -> str:
    named = ", ".join(f"{task.name} ({len(task.instances)})" for task in tasks[:5])
    return named + (f" and {len(tasks) - 5} more" if len(tasks) > 5 else "")
