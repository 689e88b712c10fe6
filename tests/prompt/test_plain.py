"""The plain template."""

from __future__ import annotations

from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.plain import plain, write
from instruct_ablate.prompt.room import Room
from instruct_ablate.tasks.task import Example, Instance
from tests.prompt.words import WordTokens

ASKED = Instance("1", " an input ", ("x",))


def text(told: Instruction, asked: Instance = ASKED) -> str:
    return "".join(write(told, asked))


def test_without_examples_nothing_is_framed() -> None:
    assert text(Instruction("t", "Do it.", (), ())) == "Do it.\n\nan input"
    assert text(Instruction("t", "", (), ())) == "an input"


def test_with_examples_the_input_is_framed_alike() -> None:
    told = Instruction("t", "Do it.", (Example("a", "b", "c"),), ())
    assert plain(told, ASKED, Room(WordTokens(), 100)).text == (
        "Do it.\n\nInput: a\nOutput: b\nExplanation: c\n\nInput: an input\nOutput:"
    )


def test_negative_examples_are_called_wrong() -> None:
    told = Instruction("t", "", (Example("a", "b"),), (Example("d", "e"),))
    assert text(told).startswith(
        "Right example:\nInput: a\nOutput: b\n\nWrong example:\nInput: d\nOutput: e\n\n"
    )


def test_parts_left_out() -> None:
    told = Instruction("t", "", (Example("a", "b"),), (), ("output",))
    assert text(told).startswith("Output: b\n\nInput: an input")


def test_without_an_input_the_definition_stands_alone() -> None:
    assert text(Instruction("t", "Do it.", (), ()), Instance("1", "", ("x",))) == "Do it."
