"""The registry of variants: plain functions `(Task, Context) -> Task` that change one field of a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack

from instruct_ablate.configuration.extensions import called, check_arguments, decorated, forgets, own_name
from instruct_ablate.errors import UserError
from instruct_ablate.instruction.context import Context
from instruct_ablate.tasks.task import Example, Instance, Task

Slot = Literal["definition", "examples"]
Parameter = Literal["rate", "correct"]
File = Literal["annotation", "corpus"]
Change = Callable[[Task, Context], Task]
Each = Callable[[Task, Instance, Context], tuple[Example, ...]]
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
    chance: bool = False  # shows random examples: an untuned model that is tested so has one cell a seed
    reads: File | None = (
        None  # the key of `instruction` that names a file of the user's; its content counts likewise
    )
    each: Each | None = (
        None  # the examples of one instance, where they are drawn for each; else all see the same
    )

    def apply(self, task: Task, context: Context) -> Task:
        """Return the altered task; `UserError` where a function of the user's own returns something else."""
        made = called(f"instruction.{self.slot}", self.function, task, context)
        if not isinstance(made, Task):
            raise UserError(
                f"instruction.{self.slot}={self.name} must return a Task (dataclasses.replace of the one given), "
                f"not {type(made).__name__}."
            )
        return made


VARIANTS: dict[Slot, dict[str, Variant]] = {"definition": {}, "examples": {}}


@forgets
def _forget(module: str) -> None:
    for known in VARIANTS.values():
        for name in [name for name, variant in known.items() if variant.function.__module__ == module]:
            del known[name]


class Traits(TypedDict, total=False):
    """What a variant may be besides its name: fields of `Variant`."""

    changes: tuple[str, ...]
    shows: tuple[str, ...]
    version: int
    chance: bool
    reads: File | None
    each: Each | None


def variant(
    slot: Slot,
    name: str | None = None,
    parameter: Parameter | None = None,
    **traits: Unpack[Traits],
) -> Callable[[Change], Change]:
    """Register a function as a variant of the definition or of the examples, by its own name or `name`."""
    traits.setdefault("changes", (FIELDS[slot],))

    def register(function: Change) -> Change:
        check_arguments(f"instruction.{slot}", function, ("task", "context"))
        advice = f'give one, as in @variant("{slot}", "NAME"), or write a function (`def`) that calls it'
        called_by = name or own_name(f"instruction.{slot}", function, advice)
        known = Variant(called_by, slot, function, parameter=parameter, **traits)
        VARIANTS[slot][known.name] = known
        return decorated(f"instruction.{slot}", function)

    return register
