"""Prompts whose end must stand."""

from __future__ import annotations

from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.shrink import shrink
from instruct_ablate.tasks.task import Example, Instance
from tests.prompt.words import WordTokens

TOLD = Instruction("t", "Do it.", (Example("a a a", "b"), Example("c c c", "d")), (Example("e e e", "f"),))
ASKED = Instance("1", " ".join(f"w{i}" for i in range(10)), ("x",))


def write(told: Instruction, asked: Instance) -> tuple[str, str, str]:
    shown = [f"{e.input} {e.output}" for e in (*told.positive_examples, *told.negative_examples)]
    return " ".join([told.definition, *shown, ""]), asked.input, " END"


def test_everything_stays_where_there_is_room() -> None:
    made = shrink(write, TOLD, ASKED, Room(WordTokens(), 25))
    assert (made.text, made.truncated, made.dropped_examples) == ("".join(write(TOLD, ASKED)), False, 0)


def test_examples_go_first_negative_ones_before_positive() -> None:
    made = shrink(write, TOLD, ASKED, Room(WordTokens(), 20))
    assert "e e e" not in made.text
    assert "c c c" not in made.text
    assert "a a a" in made.text
    assert (made.truncated, made.dropped_examples) == (False, 2)


def test_then_the_input_is_shortened_and_the_end_stands() -> None:
    made = shrink(write, TOLD, ASKED, Room(WordTokens(), 8))
    assert made.text == "Do it. w0 w1 w2 w3 w4 END"
    assert (made.truncated, made.dropped_examples) == (True, 3)


def test_a_definition_too_long_is_cut_at_last() -> None:
    made = shrink(write, Instruction("t", "long " * 50, (), ()), ASKED, Room(WordTokens(), 5))
    assert made.text.split() == ["long"] * 5
    assert made.truncated


def test_one_word_of_the_input_is_better_than_none() -> None:
    made = shrink(write, TOLD, ASKED, Room(WordTokens(), 4))
    assert (made.text, made.truncated, made.dropped_examples) == ("Do it. w0 END", True, 3)
    assert shrink(write, TOLD, ASKED, Room(WordTokens(), 3)).text == "Do it.  END"


def test_an_input_that_just_fits_is_whole() -> None:
    bare = Instruction("t", "Do it.", (), ())
    assert not shrink(write, bare, ASKED, Room(WordTokens(), 13)).truncated
    cut = shrink(write, bare, ASKED, Room(WordTokens(), 12))
    assert cut.truncated
    assert cut.text == "Do it. w0 w1 w2 w3 w4 w5 w6 w7 w8 END"


def test_the_last_example_goes_and_no_other() -> None:
    made = shrink(write, TOLD, ASKED, Room(WordTokens(), 21))
    assert made.dropped_examples == 1
    assert "a a a b c c c d" in made.text


def test_examples_are_left_out_one_at_a_time() -> None:
    many = Instruction("t", "Do it.", tuple(Example(f"p{n} p", "o") for n in range(3)),
                       tuple(Example(f"n{n} n", "o") for n in range(2)))  # fmt: skip
    for limit, shown in ((27, 4), (24, 3), (21, 2), (18, 1), (15, 0)):
        made = shrink(write, many, ASKED, Room(WordTokens(), limit))
        assert (made.text.count(" o"), made.dropped_examples, made.truncated) == (shown, 5 - shown, False)


class SeamTokens(WordTokens):
    """A tokenizer that needs a further token for a text with an input in it, however short that is."""

    def count(self, text: str) -> int:
        return super().count(text) + ("w0" in text)


def test_the_end_stands_where_not_even_one_token_of_the_input_fits() -> None:
    made = shrink(write, TOLD, ASKED, Room(SeamTokens(), 4))
    assert (made.text, made.truncated, made.dropped_examples) == ("Do it.  END", True, 3)
