"""Definitions without one kind of content, after Yin et al. (2023).

They annotated definitions by hand with the kinds used here and dropped one kind at a time. These variants
find the kinds by wording, clause by clause; a definition without a clause of the kind stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.variant import variant
from instruct_ablate.normalisation import label_form
from instruct_ablate.tasks.task import Task

_END = re.compile(
    r"(?<=[.!?:;])\s+|\n+|(?<=,)\s+(?=(?:and |then )?(?:you|your|please|if|where|generate|classify)\b)"
    r"|\s+(?=and (?:you|your)\b)"
)
_GIVEN = re.compile(
    r"\b(you(?:'re| are| will be|'ll be)? (?:also )?(?:given|provided|presented|shown|see)"
    r"|you have been given|given an?|you get|we (?:give|provide|present)"
    r"|the inputs? (?:is|are|consists?|contains?|will|has)"
    r"|each (?:input|instance)|(?:is|are) given)\b",
    re.IGNORECASE,
)
_ACTION = re.compile(
    r"\b(your (?:task|job|goal|objective) is"
    r"|you (?:need|have|are required|are expected|are asked|must|should) to"
    r"|you(?:'re| are) (?:supposed|to)|you (?:should|must|will)|the (?:task|goal|aim) is|in this task"
    r"|(?:please )?(?:generate|write|classify|determine|decide|identify|find|choose|select|translate|judge"
    r"|convert|predict|answer|construct|create|label|extract|detect|paraphrase|summari[sz]e|rewrite|complete)\b)",
    re.IGNORECASE,
)
_OUTPUT = re.compile(
    r"\b((?:the|your) (?:output|answer|response|result|label|generated \w+)s?"
    r" (?:should|must|will|can|is|are|may)"
    r"|(?:answer|respond|reply|output|return|print|label)(?: it| them)?"
    r"(?: with| either| as| in|:|')|should be|must be|(?:avoid|make sure|do not|don't|ensure)\b)",
    re.IGNORECASE,
)
_EXPLAINS = re.compile(
    r"\b(if|when|where|because|means?|refers?|denotes?|indicates?|implies|whether|for)\b", re.IGNORECASE
)


def clauses(definition: str) -> list[str]:
    """Split a definition into sentences, and long sentences at commas before a new command or condition."""
    return [clause for clause in _END.split(definition) if clause.strip()]


def _names(task: Task, clause: str) -> list[str]:
    """Return the labels that a clause names as words of their own."""
    found = []
    for label in task.label_space or ():
        words = re.escape(label.strip(" .")) if label_form(label) else ""
        if words and re.search(rf"(?<!\w){words}(?!\w)", clause, re.IGNORECASE if len(label) > 1 else 0):
            found.append(label)
    return found


def kind_of(task: Task, clause: str) -> str:
    """Tell the kind of content of a clause: label_definition, label_list, output, input, action or other."""
    labels = _names(task, clause)
    if labels and _EXPLAINS.search(clause) and len(labels) < max(2, len(task.label_space or ())):
        return "label_definition"
    if len(labels) >= 2:
        return "label_list"
    for kind, pattern in (("output", _OUTPUT), ("input", _GIVEN), ("action", _ACTION)):
        if pattern.search(clause):
            return kind
    return "other"


def _without(task: Task, kind: str) -> Task:
    kept = [clause.strip() for clause in clauses(task.definition)]
    left = [clause for clause in kept if kind_of(task, clause) != kind]
    return task if len(left) == len(kept) else replace(task, definition=" ".join(left))


def _register(kind: str, name: str, what: str) -> Callable[[Task, Context], Task]:
    def drop(task: Task, context: Context) -> Task:
        return _without(task, kind)

    drop.__name__ = drop.__qualname__ = name
    drop.__doc__ = f"Leave out {what} (Yin et al. 2023)."
    return variant("definition")(drop)


no_input_content = _register("input", "no_input_content", "what the definition says of the input")
no_action_content = _register("action", "no_action_content", "what the model is to do")
no_output_content = _register("output", "no_output_content", "what the output must be like")
no_label_list = _register("label_list", "no_label_list", "the list of labels")
no_label_definitions = _register("label_definition", "no_label_definitions", "what the labels mean")
