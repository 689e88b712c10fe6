"""A mixture of collections (`tasks=mixture`): each part is read as it is by itself, and all are one collection.

A task whose name two parts have is named with its part in both; every category is. Names so made that another task has
already are refused: rows of two tasks would be one. Weights divide a total
(`data_budget.total`) among the parts; `tasks.leave_out` trains without one of them and tests all the same.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from instruct_ablate.configuration.typed_values import typed
from instruct_ablate.errors import UserError, UserErrors, first_line, unknown
from instruct_ablate.plural import are, counted
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.sampling.order import order_of_parts
from instruct_ablate.tasks.task import Part, Task, TaskCollection

READER = "mixture"
FIELDS = frozenset({"parts", "weights", "leave_out", "test_parts", "validation"})
_OF_ALL = ("validation", "train_on", "parts", "weights", "leave_out", "test_parts", "sha256")
_NAME = re.compile(r"[\w-]{1,60}")
_KEY = re.compile(
    r"(?<![\w./-])tasks\.(?=[a-z])(?!parts\.)"
)  # of a key in a message, not of a path or module
Read = Callable[[TasksConfig], TaskCollection]


def check(config: TasksConfig, check_part: Callable[[TasksConfig], None]) -> None:
    """Refuse parts that cannot be read, and weights and names of parts that are not there."""
    if not config.parts:
        raise UserError(
            "tasks=mixture: give the parts, such as tasks.parts.own.reader=hf_dataset tasks.parts.own.root=FILE, or "
            "choices of the group by `/tasks@tasks.parts.NAME: starter` in an experiment's defaults."
        )
    faults = [fault for name, part in config.parts.items() for fault in _part_faults(name, part, check_part)]
    named = {
        "weights": config.weights,
        "leave_out": filter(None, (config.leave_out,)),
        "test_parts": config.test_parts,
    }
    for key, names in named.items():
        faults += [
            str(unknown(f"tasks.{key}", name, config.parts)) for name in names if name not in config.parts
        ]
    weights = [config.weights.get(name, 1.0) for name in config.parts if name != config.leave_out]
    if any(not 0 <= weight < float("inf") for weight in config.weights.values()) or not sum(weights):
        faults.append(
            f"tasks.weights={dict(config.weights)}: give numbers from 0 on, one above 0 for a part in training"
        )
    if faults:
        raise UserErrors(faults)


def parts(config: TasksConfig) -> dict[str, TasksConfig]:
    """Return the configuration of each part."""
    return {name: typed(TasksConfig, part) for name, part in config.parts.items()}


def read(config: TasksConfig, read_part: Read) -> TaskCollection:
    """Read all parts and put them together."""
    whole = {name: _read(name, part, read_part) for name, part in parts(config).items()}
    tested = config.test_parts or list(whole)
    names = Counter(
        task for one in whole.values() for task in {task.name for task in (*one.train, *one.test)}
    )
    _check_names(whole, names)
    train = [
        replace(_kept_apart(task, name, names), part=_part(name, config))
        for name, one in whole.items()
        for task in one.train
        if name != config.leave_out
    ]
    test = [_kept_apart(task, name, names) for name in tested for task in whole[name].test]
    # Of all parts, whatever their weights and whichever is left out: such mixtures share the untuned model.
    hashed = repr(sorted((name, one.content_hash) for name, one in whole.items()))
    notes = [f"{name}: {_of_part(name, note)}" for name, one in whole.items() for note in one.notes]
    return TaskCollection(
        READER,
        tuple(train),
        tuple(test),
        hashlib.sha256(hashed.encode()).hexdigest(),
        (*notes, *_shared(whole, tested, config.leave_out)),
        order=order_of_parts({name: one.order for name, one in whole.items()}),
    )


def _read(name: str, part: TasksConfig, read_part: Read) -> TaskCollection:
    """Read a part; what its reader says of its keys names them as the mixture has them."""
    try:
        return read_part(part)
    except UserErrors as error:
        raise UserErrors([_of_part(name, fault) for fault in error.faults]) from error
    except UserError as error:
        raise UserError(_of_part(name, str(error))) from error


def _of_part(name: str, message: str) -> str:
    """Name the keys in a message about a part's tasks as the mixture has them."""
    return _KEY.sub(f"tasks.parts.{name}.", message)


def _part_faults(name: str, given: object, check_part: Callable[[TasksConfig], None]) -> Iterator[str]:
    where = f"tasks.parts.{name}"
    if not _NAME.fullmatch(name):
        yield f"{where}: name a part by letters, digits, _ and - alone"
    elif not isinstance(given, Mapping) or not given.get("reader"):
        yield f"{where}: give its reader and the reader's keys, such as {where}.reader=starter"
    elif strange := [key for key in given if key not in TasksConfig.__dataclass_fields__]:
        yield str(unknown(f"key of {where}", str(strange[0]), TasksConfig.__dataclass_fields__))
    elif given["reader"] == READER:
        yield f"{where}: a part is no mixture itself: name its parts here"
    elif of_all := [key for key in _OF_ALL if given.get(key) not in (None, 0, [], {}, "training_tasks")]:
        yield f"{where}.{of_all[0]} is of the whole mixture, not of a part"
    else:
        yield from _values_faults(name, given, check_part)


def _values_faults(
    name: str, given: Mapping[str, object], check_part: Callable[[TasksConfig], None]
) -> Iterator[str]:
    try:
        check_part(typed(TasksConfig, given))
    except UserErrors as error:
        yield from (_of_part(name, fault) for fault in error.faults)
    except UserError as error:
        yield _of_part(name, str(error))
    except ValueError as error:  # what the schema's types refuse
        yield f"tasks.parts.{name}: {first_line(error)}"


def _check_names(whole: Mapping[str, TaskCollection], names: Mapping[str, int]) -> None:
    """Refuse two tasks that would have one name: "a (x)" of one part beside "a" of several, of which x is one."""
    had: dict[str, tuple[str, str]] = {}
    for part, one in whole.items():
        for task in dict.fromkeys(task.name for task in (*one.train, *one.test)):
            name = _named(task, part, names)
            if name in had:
                other, theirs = had[name]
                raise UserError(
                    f"tasks.parts: {task!r} of {part} and {theirs!r} of {other} would both be called {name!r}. "
                    f"Give the part {part if name != task else other} another name, or leave one of the two tasks out."
                )
            had[name] = part, task


def _named(task: str, part: str, names: Mapping[str, int]) -> str:
    return f"{task} ({part})" if names[task] > 1 else task


def _kept_apart(task: Task, part: str, names: Mapping[str, int]) -> Task:
    name = _named(task.name, part, names)
    return replace(task, name=name, categories=tuple(f"{part}: {one}" for one in task.categories))


def _part(name: str, config: TasksConfig) -> Part | None:
    return Part(name, float(config.weights.get(name, 1.0))) if config.weights else None


def _shared(whole: Mapping[str, TaskCollection], tested: list[str], left_out: str | None) -> Iterator[str]:
    """Note the names of tasks that one part trains on and another one tests."""
    for name in tested:
        names = {task.name for task in whole[name].test}
        for other, one in whole.items():
            both = sorted(names & {task.name for task in one.train})
            if both and other not in (name, left_out):
                yield (
                    f"{counted(len(both), 'task')} that {name} tests {are(len(both))} trained on in "
                    f"{other}, by their names: {both[0]}, ..."
                )
