"""The collection of `evaluation.general`: questions with choices, by which general ability is held before and after.

It is read like any other (`tasks`), and only its test tasks are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instruct_ablate.configuration.typed_values import typed
from instruct_ablate.errors import UserError, UserErrors, first_line, unknown
from instruct_ablate.plural import counted
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.task import TaskCollection

KEY = "evaluation.general"
_OF_TRAINING = (
    "train_on", "validation", "weights", "leave_out", "mixture", "train_categories", "train_include",
)  # fmt: skip


def general_tasks(given: Mapping[str, Any]) -> TasksConfig | None:
    """Return the configuration of the collection; None where general ability is not asked for."""
    return typed(TasksConfig, given) if given else None


def general_name(given: Mapping[str, Any]) -> str:
    """Return what tables call the collection; empty where there is none."""
    config = general_tasks(given)
    return (config.name or config.reader) if config else ""


def check_general(given: Mapping[str, Any]) -> None:
    """Refuse what is no collection, and keys of training; cheap, nothing is read."""
    if not given:
        return
    if not given.get("reader"):
        raise UserError(
            f"{KEY}: give a reader and the reader's keys, such as {KEY}.reader=everyday, or {KEY}.reader=p3 "
            f"{KEY}.root=FOLDER; or leave it out"
        )
    if strange := [key for key in given if key not in TasksConfig.__dataclass_fields__]:
        raise unknown(f"key of {KEY}", str(strange[0]), TasksConfig.__dataclass_fields__)
    if of_training := [
        key for key in _OF_TRAINING if given.get(key) not in (None, 0, [], {}, "training_tasks")
    ]:
        raise UserError(
            f"{KEY}.{of_training[0]} is of training, and these tasks are only tested: leave it out"
        )
    from instruct_ablate.tasks import collection

    try:
        collection.check(typed(TasksConfig, given))
    except UserErrors as error:
        raise UserErrors([_moved(fault) for fault in error.faults]) from error
    except UserError as error:
        raise UserError(_moved(str(error))) from error
    except ValueError as error:  # what the schema's types refuse
        raise UserError(f"{KEY}: {first_line(error)}") from error


def read_general(given: Mapping[str, Any], cache: Path) -> TaskCollection:
    """Read the collection; `UserError` where a test task has no choices to rank."""
    from instruct_ablate.tasks import (
        collection,
    )  # reads Arrow, which who only names a collection need not load

    config = general_tasks(given)
    assert config is not None
    try:
        read = collection.read_tasks(config, cache)
    except UserErrors as error:
        raise UserErrors([f"{KEY}: {fault}" for fault in error.faults]) from error
    except UserError as error:
        raise UserError(f"{KEY}: {error}") from error
    if without := [task for task in read.test if task.unlisted]:
        count = f"{without[0].unlisted} of its {counted(len(without[0].instances), 'instance')}"
        raise UserError(
            f"{KEY}: {len(without)} of {counted(len(read.test), 'test task')} lack choices to rank, first "
            f"{without[0].name} "
            f"({count}). Choose others (test_include), or give a column of choices (columns.choices)."
        )
    return read


def _moved(fault: str) -> str:
    return fault.replace("tasks.", f"{KEY}.")
