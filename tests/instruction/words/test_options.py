from __future__ import annotations

import pytest

from instruct_ablate.instruction.words.options import own_options
from instruct_ablate.tasks.task import Example


@pytest.mark.parametrize(
    ("text", "output", "options"),
    [
        ("Which? (A) a boat (B) a car", "B", ("A", "B")),
        ("Which?\nA. a boat\nB. a car\nC. none", "(a)", ("(A)", "(B)", "(C)")),
        ("Options: a ) 12 , b ) 24 , c ) 36", "24", ("12", "24", "36")),
        ("1) red 2) blue", "2", ("1", "2")),
        ("(A) a boat (B) a car", "a train", ()),  # none of them
        ("A boat. Be quick.", "A", ()),
        ("(B) a boat (C) a car", "B", ()),  # does not begin at the first
        ("no options", "yes", ()),
    ],
)
def test_options_are_named_as_the_output_names_them(text: str, output: str, options: tuple[str, ...]) -> None:
    assert own_options(Example(text, output)) == options


@pytest.mark.parametrize(
    ("text", "output", "options"),
    [
        (
            "(A) a boat (B) a car\nWhat is it?",
            "a car",
            ("a boat", "a car"),
        ),  # the last option ends with its line
        ("(A) a boat (2) a car", "A", ()),  # letters and numbers are no row
        ("(A) one (A) a boat (B) a car", "b", ("A", "B")),  # the longest row counts
        ("(A) (B) a car", "a car", ()),  # an option without a text
        ("(a) a boat (b) a car", "A", ("A", "B")),
        ("1. x 2. y 3. z", "3.", ("1.", "2.", "3.")),
    ],
)
def test_ends_of_options(text: str, output: str, options: tuple[str, ...]) -> None:
    assert own_options(Example(text, output)) == options
