"""The registry of variants: plain functions `(Task, Context) -> Task` that change one field of a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from instruct_ablate.extensions import decorated, forgets
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
    version: int = (
        1  # raised when what it makes of a task changes: it counts in the identity of its cells alone
    )


VARIANTS: dict[Slot, dict[str, Variant]] = {"definition": {}, "examples": {}}


@forgets
def _forget(module: str) -> None:
    for known in VARIANTS.values():
        for name in [name for name, variant in known.items() if variant.function.__module__ == module]:
            del known[name]


def variant(
    slot: Slot,
    name: str | None = None,
    parameter: Parameter | None = None,
    changes: tuple[str, ...] = (),
    shows: tuple[str, ...] = ("input", "output"),
    version: int = 1,
) -> Callable[[Change], Change]:
    """Register a function as a variant of the definition or of the examples, by its own name or `name`."""

    def register(function: Change) -> Change:
        known = Variant(
            name or function.__name__, slot, function, changes or (FIELDS[slot],), parameter, shows, version
        )
        VARIANTS[slot][known.name] = known
        return decorated(f"instruction.{slot}", function)

    return register
