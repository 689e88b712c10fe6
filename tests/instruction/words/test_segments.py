"""Definitions cut into segments and put together again."""

from __future__ import annotations

import pytest

from instruct_ablate.instruction.words.segments import joined, segments


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("You get a word. Spell it.", ["You get a word. ", "Spell it."]),
        (
            "In this task, you are given a word and you need to spell it.",
            ["In this task, you are given a word and ", "you need to spell it."],
        ),
        ("Given a word, write it backwards.", ["Given a word, ", "write it backwards."]),
        ("If it rhymes, answer yes.\nElse no.", ["If it rhymes, answer yes.\n", "Else no."]),
        ("Use signs, e.g. a comma, or none.", ["Use signs, e.g. a comma, or none."]),
        ('It has the form "A : B. C : ?". Go on.', ['It has the form "A : B. C : ?". ', "Go on."]),
        ("Name a town (not a village. Never). Go on.", ["Name a town (not a village. Never). ", "Go on."]),
        ("Lines end with a\n. Go on there.", ["Lines end with a\n. ", "Go on there."]),
        (
            "Items stand apart by '\n', and you count them.",
            ["Items stand apart by '\n', and ", "you count them."],
        ),
        ("Use the text and your own knowledge.", ["Use the text and your own knowledge."]),
        ("Read on. At the end, you will be asked.", ["Read on. ", "At the end, you will be asked."]),
        ("", [""]),
        ("  ", ["  "]),
    ],
)
def test_cuts(definition: str, expected: list[str]) -> None:
    assert segments(definition) == expected
    assert "".join(segments(definition)) == definition


def test_joints_to_what_is_left_out_go_too() -> None:
    parts = ["You are given a word and ", "you need to spell it. ", "Be quick."]
    assert (
        joined([(True, parts[0]), (False, parts[1]), (True, parts[2])]) == "You are given a word. Be quick."
    )
    assert (
        joined([(False, parts[0]), (True, parts[1]), (True, parts[2])]) == "You need to spell it. Be quick."
    )
    assert joined([(False, "A word, "), (True, "and you spell it.")]) == "You spell it."
    assert joined([(False, parts[0]), (True, '". ')]) == ""
    hanging = [(True, "Count them. "), (False, "If none is odd, say 0. "), (True, "Otherwise say 1. ")]
    assert joined(hanging) == "Count them."
    assert (
        joined([(False, "Name a town. "), (True, "that is on a river. "), (True, "Be brief.")]) == "Be brief."
    )
    assert (
        joined([(True, "If none is odd, say 0. "), (True, "Otherwise say 1.")])
        == "If none is odd, say 0. Otherwise say 1."
    )
    assert joined([(True, "One,  two. "), (True, "Three.")]) == "One, two. Three."


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("Go. Now walk there.", ["Go. Now walk there."]),  # one word is no segment
        ("Go on. Now walk there.", ["Go on. ", "Now walk there."]),
        ("Name cats, dogs etc. Then stop here.", ["Name cats, dogs etc. ", "Then stop here."]),
        ("Name cats, dogs etc. in one line.", ["Name cats, dogs etc. in one line."]),
        (
            "Also, if it is red, write yes.",
            ["Also, if it is red, write yes."],
        ),  # a condition and what it is of
        ("Name (one) town. Go on.", ["Name (one) town. ", "Go on."]),
        ("Read it all. ", ["Read it all. "]),
    ],
)
def test_ends_of_segments(definition: str, expected: list[str]) -> None:
    assert segments(definition) == expected


def test_a_capital_begins_what_follows_an_end_alone() -> None:
    assert joined([(True, "You see a word: "), (False, "a long one, "), (True, "and then spell it.")]) == (
        "You see a word. Spell it."
    )
    assert joined([(True, "One. "), (True, "two. ")]) == "One. two."
