"""The chat template."""

from __future__ import annotations

from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.chat import chat
from instruct_ablate.prompt.room import Room
from instruct_ablate.tasks.task import Instance
from tests.prompt.words import WordTokens

TOLD = Instruction("t", "Do it.", (), ())


def test_the_plain_text_is_the_users_turn() -> None:
    made = chat(TOLD, Instance("1", "now", ("x",)), Room(WordTokens(), 100))
    assert made.text == "<user> Do it.\n\nnow </user> <assistant>"


def test_a_definition_that_is_too_long_by_itself_is_cut_with_the_format() -> None:
    made = chat(
        Instruction("t", "Do it. " * 20, (), ()), Instance("1", "now", ("x",)), Room(WordTokens(), 12)
    )
    assert made.text == "<user> " + " ".join(("Do it. " * 6).split()[:11])
    assert made.truncated


def test_the_format_stays_where_the_input_alone_is_too_long() -> None:
    made = chat(TOLD, Instance("1", "word " * 50, ("x",)), Room(WordTokens(), 12))
    assert made.text.endswith("</user> <assistant>")
    assert len(made.text.split()) == 12
    assert made.truncated


def test_without_an_input_there_is_the_definition_alone() -> None:
    made = chat(TOLD, Instance("1", " ", ("x",)), Room(WordTokens(), 100))
    assert made.text == "<user> Do it. </user> <assistant>"
    cut = chat(Instruction("t", "Do it " * 20, (), ()), Instance("1", "", ("x",)), Room(WordTokens(), 5))
    assert cut.truncated


def test_an_input_that_stands_in_the_definition_too_is_cut_at_its_own_place() -> None:
    told = Instruction("t", "now and then", (), ())
    made = chat(told, Instance("1", "now", ("x",)), Room(WordTokens(), 100))
    assert made.text == "<user> now and then\n\nnow </user> <assistant>"
