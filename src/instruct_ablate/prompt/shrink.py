"""Make a prompt fit whose end must stand: examples go first, then the end of the input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.template import Rendered
from instruct_ablate.tasks.task import Instance

# Text before the input, the input, text after it: what stands before is the same for a whole task.
Pieces = tuple[str, str, str]
Write = Callable[[Instruction, Instance], Pieces]


def shrink(
    write: Write, instruction: Instruction, instance: Instance, room: Room, least: int = 0
) -> Rendered:
    """Write the prompt without the last examples until it fits, then with a shorter input, then cut it.

    At least `least` examples are dropped, of as many as there are.
    """
    dropped = 0
    pieces = write(instruction, instance)
    while dropped < least or not room.fits(pieces):
        if not instruction.negative_examples and not instruction.positive_examples:
            return _cut(write, instruction, instance, room, dropped)
        instruction, dropped = _fewer(instruction), dropped + 1
        pieces = write(instruction, instance)
    return Rendered("".join(pieces), dropped_examples=dropped)


def _cut(write: Write, instruction: Instruction, instance: Instance, room: Room, dropped: int) -> Rendered:
    """Shorten the input by what is too much; where even no input is too much, cut the whole at its end."""
    text = "".join(write(instruction, instance))
    allowed = room.tokens.count(instance.input)
    while allowed > 0 and not room.fits([text]):
        # One at least, so that it comes to an end however the tokenizer joins what is left.
        allowed -= max(1, room.tokens.count(text) - room.limit)
        short = room.tokens.clip(instance.input, allowed) if allowed > 0 else ""
        text = "".join(write(instruction, replace(instance, input=short)))
    return Rendered(text if room.fits([text]) else room.clip(text), truncated=True, dropped_examples=dropped)


def _fewer(instruction: Instruction) -> Instruction:
    """Leave out the last example, negative ones first."""
    if instruction.negative_examples:
        return replace(instruction, negative_examples=instruction.negative_examples[:-1])
    return replace(instruction, positive_examples=instruction.positive_examples[:-1])
