"""The Alpaca template in its published forms."""

from __future__ import annotations

from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.alpaca import alpaca
from instruct_ablate.prompt.room import Room
from instruct_ablate.tasks.task import Example, Instance
from tests.prompt.words import WordTokens

ROOM = Room(WordTokens(), 1000)
INTRO = "Below is an instruction that describes a task"
REQUEST = "Write a response that appropriately completes the request.\n\n"


def ask(definition: str, text: str, room: Room = ROOM, examples: tuple[Example, ...] = ()) -> str:
    made = alpaca(Instruction("t", definition, examples, ()), Instance("1", text, ("x",)), room)
    return made.text


def test_with_input() -> None:
    assert ask("Name it.", "A red {instruction} fruit") == (
        f"{INTRO}, paired with an input that provides further context. {REQUEST}"
        "### Instruction:\nName it.\n\n### Input:\nA red {instruction} fruit\n\n### Response:"
    )


def test_without_input() -> None:
    assert ask("Name a fruit.", "") == f"{INTRO}. {REQUEST}### Instruction:\nName a fruit.\n\n### Response:"


def test_without_definition_the_input_is_the_instruction() -> None:
    assert "### Instruction:\nA red fruit\n\n### Response:" in ask("", "A red fruit")
    assert ask("", "").endswith("### Instruction:\n\n\n### Response:")


def test_examples_stand_in_the_instruction() -> None:
    assert "### Instruction:\nName it.\n\nInput: a\nOutput: b\n\n### Input:\nfruit" in ask(
        "Name it.", "fruit", examples=(Example("a", "b"),)
    )


def test_the_response_marker_survives_a_cut() -> None:
    text = ask("Name it.", "word " * 500, Room(WordTokens(), 60))
    assert text.endswith("### Response:")
    assert len(text.split()) == 60
