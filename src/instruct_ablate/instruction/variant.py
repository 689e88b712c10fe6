"""The registry of variants: plain functions `(Task, Context) -> Task` that change one field of a task."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from instruct_ablate.errors import UserError
from instruct_ablate.instruction.context import Context
from instruct_ablate.tasks.task import Task

Slot = Literal["definition", "examples"]
Parameter = Literal["rate", "correct"]
Change = Callable[[Task, Context], Task]
FIELDS: dict[Slot, str] = {"definition": "definition", "examples": "positive_examples"}


@dataclass(frozen=True, slots=True)
class Variant:
    """A named way of altering a task: the function, the fields it may change and the parameter it reads."""

    name: str
    slot: Slot
    function: Change
    changes: tuple[str, ...]
    parameter: Parameter | None = None
    shows: tuple[str, ...] = ("input", "output")  # the parts of an example that a prompt has lines for


VARIANTS: dict[Slot, dict[str, Variant]] = {"definition": {}, "examples": {}}


def variant(
    slot: Slot,
    name: str | None = None,
    parameter: Parameter | None = None,
    changes: tuple[str, ...] = (),
    shows: tuple[str, ...] = ("input", "output"),
) -> Callable[[Change], Change]:
    """Register a function as a variant of the definition or of the examples, by its own name or `name`."""

    def register(function: Change) -> Change:
        known = Variant(
            name or function.__name__, slot, function, changes or (FIELDS[slot],), parameter, shows
        )
        VARIANTS[slot][known.name] = known
        return function

    return register


def load_function(path: str, what: str) -> Callable[..., Any]:
    """Import `module.function`; the working directory is searched too. `what` names it in errors."""
    module_name, _, name = path.rpartition(".")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"{what} {path!r}: cannot import module {module_name!r} ({error}). "
            "Give module.function with the module in the working directory, or list its file in `extensions`."
        ) from error
    function = vars(module).get(name)
    if not callable(function):
        raise UserError(f"{what} {path!r}: module {module_name!r} has no function {name!r}.")
    return function  # type: ignore[no-any-return]


def load_extensions(files: list[str]) -> None:
    """Run the user's Python files once each, so that what they register can be named in the configuration."""
    for file in files:
        path = Path(file)
        known = sys.modules.get(path.stem)
        if known is not None and Path(str(known.__file__)).resolve() == path.resolve():
            continue
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if not path.is_file() or spec is None or spec.loader is None:
            raise UserError(f"extensions: {file!r} is not a Python file here ({Path.cwd()}).")
        if path.stem in sys.modules:
            raise UserError(f"extensions: {file!r}: a module named {path.stem!r} exists; rename the file.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
