"""Definitions without one kind of content, after Yin et al. (2023).

They annotated definitions by hand, segment by segment, and left out every segment that carries the kind, whatever else
it carries; so do these variants. Where their annotation is given (`instruction.annotation`), its segments are left out
as they stand; without it, and for definitions that it does not have, the kinds are found by rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from instruct_ablate.instruction.content_kinds.annotation import annotation_of
from instruct_ablate.instruction.content_kinds.content_rules import by_rules
from instruct_ablate.instruction.content_kinds.kinds import Kind, Segment
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.variant import variant
from instruct_ablate.instruction.words.segments import joined
from instruct_ablate.tasks.task import Task

DROPPED: dict[str, Kind] = {
    "no_input_content": "input",
    "no_action_content": "action",
    "no_output_content": "output",
    "no_label_list": "label_list",
    "no_label_definitions": "label_definition",
    "no_additional_details": "details",
}


def annotated(task: Task, context: Context) -> tuple[Segment, ...] | None:
    """Return the segments of a definition as annotated; None without an annotation of it."""
    return (
        None
        if context.annotation is None
        else annotation_of(context.annotation, context.cache).segments(task)
    )


def content(task: Task, context: Context) -> tuple[Segment, ...]:
    """Return the segments of a definition with their kinds: as annotated, else by rules."""
    return annotated(task, context) or by_rules(task)


def _without(task: Task, kind: Kind, context: Context) -> Task:
    marked = annotated(task, context)
    segments = marked or by_rules(task)
    if not any(kind in segment.kinds for segment in segments):
        return task
    kept = [(kind not in segment.kinds, segment.text) for segment in segments]
    if marked:
        return replace(task, definition="".join(text for keep, text in kept if keep).strip())
    return replace(task, definition=joined(kept))


def _register(name: str, what: str) -> Callable[[Task, Context], Task]:
    def drop(task: Task, context: Context) -> Task:
        return _without(task, DROPPED[name], context)

    drop.__name__ = drop.__qualname__ = name
    drop.__doc__ = f"Leave out {what} (Yin et al. 2023)."
    # 1 told one kind a clause, by other rules; 2 by rules that took more for labels, and left sentences hanging
    return variant("definition", version=3, reads="annotation")(drop)


no_input_content = _register("no_input_content", "what the definition says of the input")
no_action_content = _register("no_action_content", "what the model is to do")
no_output_content = _register("no_output_content", "what is to be put out, labels among it")
no_label_list = _register("no_label_list", "the list of labels")
no_label_definitions = _register("no_label_definitions", "what the labels mean")
no_additional_details = _register("no_additional_details", "further details of input and output")


def rules_note(tasks: Sequence[Task], definition: str, context: Context) -> str | None:
    """Say of how many tasks the kinds are found by rules though an annotation is given; None where of none."""
    if definition not in DROPPED or context.annotation is None:
        return None
    lacking = [task.name for task in tasks if annotated(task, context) is None]
    if not lacking:
        return None
    named = ", ".join([*lacking[:3], *(["..."] if len(lacking) > 3 else [])])
    return (
        f"instruction.annotation: {len(lacking)} of {len(tasks)} definitions are not in it, or not as they stand here "
        f"({named}): their content is found by rules"
    )
