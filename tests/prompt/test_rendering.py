"""Renderings: the same parts in other words, and nothing of a part that is empty."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.plain import plain
from instruct_ablate.prompt.rendering import Rendering, make_rendering
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.template import rendered
from instruct_ablate.tasks.task import Example, Instance
from tests.left_out import left_out
from tests.prompt.words import WordTokens

OWN = Rendering(
    "own", input="Q: {input}!", output="A: {output}", definition="Do {definition}", between_lines=" | "
)
SHOWN = (Example("one", "1", "as it is"), Example("two", "2"))
TOLD = Instruction("t", "Count.", SHOWN, ())
ASKED = Instance("1", "three", ("3",))
ROOM = Room(WordTokens(), 1000)


def text(made: Rendering, told: Instruction = TOLD, asked: Instance = ASKED, room: Room = ROOM) -> str:
    return rendered(made, told, asked, room).text


def test_every_part_stands_where_its_text_says() -> None:
    assert text(OWN) == (
        "Do Count.\n\nQ: one! | A: 1 | Explanation: as it is\n\nQ: two! | A: 2\n\nQ: three! | A:"
    )


def test_empty_parts_are_left_out() -> None:
    bare = Instruction("t", "", (), ())
    assert text(OWN, bare) == "Q: three! | A:"
    assert text(OWN, bare, replace(ASKED, input=" ")) == "A:"
    assert text(OWN, replace(TOLD, shows=("output",))).startswith("Do Count.\n\nA: 1 | Explanation")


def test_wrong_examples_are_headed() -> None:
    told = replace(TOLD, positive_examples=SHOWN[1:], negative_examples=(Example("one", "9"),))
    assert "Right example: | Q: two! | A: 2\n\nWrong example: | Q: one! | A: 9\n\n" in text(OWN, told)


def test_braces_of_the_task_are_text() -> None:
    assert "{output} {}" in text(OWN, asked=replace(ASKED, input="{output} {}"))


def test_where_it_says_what_plain_does_it_is_plain() -> None:
    own = Rendering("plain", input="Input: {input}", output="Output: {output}")
    assert text(own) == text(plain)  # type: ignore[arg-type]


def test_examples_go_and_the_input_is_cut_where_there_is_no_room() -> None:
    made = rendered(OWN, TOLD, ASKED, Room(WordTokens(), 12))
    assert (made.dropped_examples, made.truncated) == (2, False)
    long = rendered(OWN, TOLD, replace(ASKED, input="so " * 40), Room(WordTokens(), 12))
    assert long.truncated
    assert long.text.endswith("| A:")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "a rendering is a list of parts"),
        ({"name": 1, "input": "{input}", "output": "= {output}"}, "a rendering is a list of parts"),
        ({"name": "x", "output": "= {output}"}, "needs input"),
        ({"name": "x", "inputs": "", "output": "= {output}"}, "did you mean 'input'"),
        ({"name": "a/b", "input": "{input}", "output": "= {output}"}, "name 'a/b'"),
        ({"name": "x", "input": "in", "output": "= {output}"}, r"must hold \{input\} once"),
        ({"name": "x", "input": "{input} {0}", "output": "= {output}"}, "no other braces"),
        ({"name": "x", "input": "{input}", "output": "{output}"}, "must be a cue"),
        ({"name": "x", "input": "{input}", "output": "= {output}."}, "must be a cue"),
    ],
)
def test_what_is_no_rendering_is_told(given: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        make_rendering(given, "mine.yaml")


def test_what_is_left_out() -> None:
    assert left_out(Rendering) == {
        "definition": "{definition}",
        "explanation": "Explanation: {explanation}",
        "right": "Right example:",
        "wrong": "Wrong example:",
        "between_lines": "\n",
        "between_blocks": "\n\n",
    }
