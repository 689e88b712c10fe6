"""Users' mistakes: what was given, what was probably meant, what is allowed."""

from __future__ import annotations

import pytest

from instruct_ablate.errors import (
    UserError,
    UserErrors,
    abbreviates,
    among,
    closed,
    meant,
    nearest,
    refusal,
    unknown,
)


def test_one_fault_is_told_as_it_is_and_several_as_a_list():
    assert type(refusal(["a is wrong"])) is UserError
    assert str(refusal(["a is wrong"])) == "a is wrong"
    both = refusal(["a is wrong", "b is too"])
    assert isinstance(both, UserErrors)
    assert both.faults == ("a is wrong", "b is too")
    assert str(both) == "- a is wrong\n- b is too"


def test_the_nearest_word_is_proposed_where_one_is_near():
    assert nearest("orignal", ["simplified", "original"]) == "; did you mean 'original'?"
    assert nearest("xyz", ["simplified", "original"]) == ""
    assert nearest("xbcdy", ["abcde"]) == "; did you mean 'abcde'?", "three letters of five are near enough"
    assert nearest("abxyz", ["abcde"]) == "; did you mean 'abcde'?", "two of five are just enough"
    assert nearest("axxyz", ["abcde"]) == ""


def test_before_a_further_sentence_there_is_an_end():
    assert closed("orignal", ["original"]) == "; did you mean 'original'?"
    assert closed("xyz", ["original"]) == "."


@pytest.mark.parametrize(
    ("given", "meant_key"),
    [
        ("trainer.lr", "trainer.learning_rate"),
        ("lr", "trainer.learning_rate"),
        ("trainer.bs", "trainer.batch_size"),
        ("data.lr", ""),
        ("trainer.l", ""),
    ],
)
def test_first_letters_stand_for_a_key(given: str, meant_key: str):
    keys = ["trainer.loss", "trainer.learning_rate", "trainer.batch_size", "logger"]
    assert [key for key in keys if abbreviates(given, key)] == ([meant_key] if meant_key else [])
    if meant_key:
        assert nearest(given, keys) == f"; did you mean {meant_key!r}?"


def test_all_that_is_allowed_is_named():
    assert meant("xyz", ["b", "a"]) == ". Allowed: b, a."
    assert meant("aa", ["ab", "aac"]) == "; did you mean 'aac'? Allowed: ab, aac."
    assert str(unknown("metric", "xyz", {"b", "a"})) == "unknown metric 'xyz'. Allowed: a, b."


def test_only_what_is_allowed_goes_through():
    among("metric", "a", ("a", "b"))
    with pytest.raises(UserError, match=r"unknown metric 'c'\. Allowed: a, b"):
        among("metric", "c", ("b", "a"))
