import json
import math
from collections import Counter
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_ablate.tasks.intake.data_file import parse_json
from instruct_ablate.tasks.intake.text import NotTextError, clean, described, notes_of, text_of


@pytest.mark.parametrize("text", ["", "null", "None", "007", " a ", "x\r\ny", "é", "😀", "\ufffd"])
def test_text_stays_text(text):
    met = Counter()
    assert text_of(text, met) == text
    assert not met


def test_what_no_file_or_tokenizer_can_hold_is_replaced():
    met = Counter()
    assert text_of("a\ud83d b\0c", met) == "a\ufffd b\ufffdc"
    assert text_of("\ufeff\ufeffx\ufeff", met) == "x\ufeff"
    assert notes_of("t", met) == ("t: broken Unicode replaced", "t: byte order mark dropped")


@pytest.mark.parametrize("value", [None, math.nan, np.float32("nan"), Decimal("nan")])
def test_what_is_missing_is_no_text(value):
    assert text_of(value, Counter()) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(7, "7"), (1.5, "1.5"), (Decimal("1.50"), "1.50"), (np.int64(3), "3"), (parse_json("1.50"), "1.50")],
)
def test_numbers_are_text_and_noted(value, text):
    met = Counter()
    assert text_of(value, met) == text
    assert met["number taken as text"] == 1


def test_a_number_of_any_length_is_read_as_it_is_spelt():
    assert text_of(parse_json("9" * 5000), Counter()) == "9" * 5000
    with pytest.raises(NotTextError, match="thousands of digits"):
        text_of(10**5000, Counter())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, "true, a truth value"),
        (["a"], "a list of 1"),
        ({"a": 1, "b": 2}, r"an object \(a, b\)"),
        ({}, "an empty object"),
        (b"x", "of type bytes"),
        (math.inf, "infinite"),
    ],
)
def test_nothing_else_is_turned_into_text(value, said):
    with pytest.raises(NotTextError, match=said):
        text_of(value, Counter())


@given(st.text(st.characters(codec=None)))
def test_whatever_is_clean_can_be_written_and_is_clean_already(text):
    met = Counter()
    once = clean(text, met)
    once.encode()
    assert "\0" not in once
    assert clean(once, Counter()) == once
    assert json.loads(json.dumps(once)) == once
    assert (once == text) == (not met)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "an empty object"),
        ({"a": 1, "b": 2}, "an object (a, b)"),
        ([], "a list of 0"),
        ((1, 2), "a list of 2"),
        (None, "null"),
        (True, "a truth value"),
        (0, "a number"),
        (1.5, "a number"),
        ("", "a text"),
        (b"x", "a value of type bytes"),
    ],
)
def test_values_are_said_in_the_words_of_json(value, said):
    assert described(value) == said


@pytest.mark.parametrize(
    ("given", "text", "notes"),
    [
        ("plain", "plain", {}),
        ("é 实", "é 实", {}),
        ("a\0b", "a\ufffdb", {"broken Unicode replaced": 1}),
        ("é\0", "é\ufffd", {"broken Unicode replaced": 1}),
        ("a\ud83d", "a\ufffd", {"broken Unicode replaced": 1}),
        ("\ufeff\ufeffa", "a", {"byte order mark dropped": 1}),
        ("a\ufeff", "a\ufeff", {}),
    ],
)
def test_what_becomes_of_single_letters(given, text, notes):
    oddities = Counter()
    assert clean(given, oddities) == text
    assert oddities == notes


def test_notes_count_what_was_met_more_than_once():
    assert notes_of("t", Counter({"a": 1, "b": 2, "c": 0})) == ("t: a", "t: b (2)")
