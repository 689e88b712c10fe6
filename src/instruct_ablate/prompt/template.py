"""Templates: functions `(Instruction, Instance, Room) -> str | Rendered`, by name or dotted path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from instruct_ablate.configuration.extensions import (
    called,
    check_arguments,
    decorated,
    forgets,
    load_function,
    own_name,
)
from instruct_ablate.errors import UserError, unknown
from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.room import Room
from instruct_ablate.schema import PromptConfig
from instruct_ablate.tasks.task import Instance


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt's source text, whether it was cut, and how many examples had no room."""

    text: str
    truncated: bool = False
    dropped_examples: int = 0


Template = Callable[[Instruction, Instance, Room], "str | Rendered"]
TEMPLATES: dict[str, Template] = {}
WITH_NAME: dict[str, Template] = {}  # the same with the task's name before them, where there is such a form


@forgets
def _forget(module: str) -> None:
    for name in [name for name, function in TEMPLATES.items() if function.__module__ == module]:
        del TEMPLATES[name]


def template(function: Template) -> Template:
    """Register a function as a template under its own name."""
    check_arguments("prompt.template", function, ("instruction", "instance", "room"))
    name = own_name("prompt.template", function, "write a function (`def`) that calls it, under @template")
    TEMPLATES[name] = function
    return decorated("prompt.template", function)


def find_template(name: str) -> Template:
    """Return the template of that name, or the user's own function by its dotted path."""
    if name in TEMPLATES:
        return TEMPLATES[name]
    if "." not in name:
        raise unknown("prompt.template", name, TEMPLATES)
    return load_function(name, "prompt.template")


def configured_template(config: PromptConfig) -> Template:
    """Return the template that the configuration asks for, in the form with the task's name where it says so."""
    if not config.add_task_name:
        return find_template(config.template)
    if config.template not in WITH_NAME:
        raise UserError(
            f"prompt.add_task_name=true is of prompt={', '.join(WITH_NAME)}: {config.template} has no place for it."
        )
    return WITH_NAME[config.template]


def rendered(function: Template, instruction: Instruction, instance: Instance, room: Room) -> Rendered:
    """Apply a template; text that it did not fit itself is cut to the room there is."""
    made = called("prompt.template", function, instruction, instance, room)
    if isinstance(made, Rendered):
        return made
    if not isinstance(made, str):
        name = getattr(function, "__name__", function)
        raise UserError(
            f"prompt.template: {name} must return a text or a Rendered, not {type(made).__name__}."
        )
    return Rendered(made) if room.fits([made]) else Rendered(room.clip(made), truncated=True)
