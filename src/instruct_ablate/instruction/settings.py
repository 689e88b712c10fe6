"""What the keys of `instruction` may be: variants that are there, counts of examples, shares of words and labels."""

from __future__ import annotations

from instruct_ablate.instruction.label import label
from instruct_ablate.limits import any_value, check_limits, number, path, text, whole
from instruct_ablate.schema import InstructionConfig

LIMITS = {
    "definition": text(),
    "examples": text(),
    "num_positive": whole(0, 1000),
    "num_negative": whole(0, 1000),
    "explanations": any_value(),
    "rate": number(0, 1),
    "correct": number(0, 1),
    "annotation": path().or_null("to find kinds of content by rules"),
    "corpus": path().or_null("for the one that is shipped"),
}


def check_instruction(config: InstructionConfig) -> None:
    """Refuse variants that are not there, and numbers that no prompt could follow."""
    check_limits("instruction", config, LIMITS)
    label(config)  # it looks both variants up
