"""Training on the task that is tested (`tasks.train_on=test_task`): shots of each test task, none of them tested.

As Webson & Pavlick (2021) do. The shots come from what the test instances leave of a task; what repeats the input of
a test instance is not among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from instruct_ablate.plural import counted
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.task import Instance, Task, TaskCollection

TRAIN_ON = ("training_tasks", "test_task")
_OF_TRAINING = ("train_include", "train_categories", "mixture")


def asked(config: TasksConfig) -> bool:
    """Whether models are trained on the tasks that they are tested on."""
    return config.train_on == "test_task"


def faults(config: TasksConfig) -> list[str]:
    """Name the keys that leave nothing to train on, or say nothing, where test tasks are trained on."""
    if not asked(config):
        return []
    found = [
        f"tasks.{key}={vars(config)[key]} chooses among training tasks, and tasks.train_on=test_task uses none of them."
        for key in _OF_TRAINING
        if vars(config)[key]
    ]
    if config.validation:
        found.append(
            f"tasks.validation={config.validation} holds out training tasks, and tasks.train_on=test_task has none: "
            "leave one of the two out."
        )
    if config.test_instances is None:
        found.append(
            "tasks.train_on=test_task with tasks.test_instances=null: every instance is tested, and none is left to "
            "train on. Give tasks.test_instances, such as 100."
        )
    return found


def parted(collection: TaskCollection, config: TasksConfig) -> TaskCollection:
    """Part the test tasks of a collection, whole as yet, into what is tested and what is trained on."""
    test = tuple(task.only(task.instances[: config.test_instances]) for task in collection.test)
    train, notes = shots(collection.test, test)
    return replace(collection, train=tuple(train), test=test, notes=(*collection.notes, *notes))


def shots(whole: Sequence[Task], test: Sequence[Task]) -> tuple[list[Task], tuple[str, ...]]:
    """Return what the test instances leave of each task, and a note on repeated inputs left out."""
    made, repeated = [], 0
    for task, tested in zip(whole, test, strict=True):
        seen = {_input(instance) for instance in tested.instances}
        rest = task.instances[len(tested.instances) :]
        apart = tuple(instance for instance in rest if _input(instance) not in seen)
        repeated += len(rest) - len(apart)
        made.append(task.only(apart))
    note = f"tasks.train_on=test_task: {counted(repeated, 'instance')} left out, with the input of a test instance"
    return made, (note,) if repeated else ()


def _input(instance: Instance) -> str:
    return instance.input.strip()
