"""The templates of Min et al. (2022): inputs and labels alone, or a question and its answer."""

from __future__ import annotations

from collections.abc import Callable

from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.plain import block
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.shrink import Pieces, Write, shrink
from instruct_ablate.prompt.template import Rendered, template
from instruct_ablate.tasks.task import Example, Instance

BETWEEN = "\n\n\n"  # two empty lines, as theirs (grade M)
QUESTION, ANSWER = "The question is: ", "The answer is: "  # theirs for multiple choice


def _example(question: str, answer: str) -> Callable[[Example, tuple[str, ...]], str]:
    def write(example: Example, shows: tuple[str, ...]) -> str:
        asked = [f"{question}{example.input.strip()}"] if "input" in shows else []
        told = [f"{answer}{example.output.strip()}"] if "output" in shows else []
        return "\n".join((*asked, *told))

    return write


def _writer(question: str, answer: str) -> Write:
    example = _example(question, answer)

    def write(instruction: Instruction, instance: Instance) -> Pieces:
        right = [example(one, instruction.shows) for one in instruction.positive_examples]
        wrong = [block("Wrong example:", one) for one in instruction.negative_examples]
        before = [part + BETWEEN for part in (instruction.definition.strip(), *right, *wrong) if part]
        return "".join(before) + question, instance.input.strip(), f"\n{answer.rstrip()}"

    return write


@template
def minimal(instruction: Instruction, instance: Instance, room: Room) -> Rendered:
    """Write input and label under each other, without a word of our own; the definition, where there is one, first."""
    return shrink(_writer("", ""), instruction, instance, room)


@template
def question_answer(instruction: Instruction, instance: Instance, room: Room) -> Rendered:
    """Write "The question is: ..." and "The answer is: ..."."""
    return shrink(_writer(QUESTION, ANSWER), instruction, instance, room)
