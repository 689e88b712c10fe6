from __future__ import annotations

import pytest

from instruct_ablate.constraints import make

UPPER, LOWER = make("case", case="upper"), make("case", case="lower")


@pytest.mark.parametrize(
    ("text", "upper", "lower"),
    [
        ("ALL OF IT, 12!", True, False),
        ("all of it, 12!", False, True),
        ("All of it", False, False),
        ("ÜBER ALLES", True, False),
        ("über straße", False, True),
        ("ПРИВЕТ", True, False),
        ("12 ! 中文", False, False),  # no letter of it has a case
    ],
)
def test_case(text, upper, lower):
    assert (UPPER.met_by(text), LOWER.met_by(text)) == (upper, lower)


def test_case_in_a_language():
    pytest.importorskip("py3langid")
    english = make("case", case="upper", language="en")
    assert english.met_by("THE CAT SLEEPS ON THE OLD CHAIR IN THE KITCHEN.")
    assert not english.met_by("DIE KATZE SCHLÄFT AUF DEM ALTEN STUHL IN DER KÜCHE.")
    assert not english.met_by("The cat sleeps on the old chair in the kitchen.")


def test_words_in_capital_letters():
    text = "The NASA and the well-known U-BAHN of BERLIN; I too."
    assert make("capital_words", relation="exactly", count=4).met_by(text)  # "I" is one
    assert make("capital_words", relation="at least", count=4).met_by(text)
    assert not make("capital_words", relation="less than", count=4).met_by(text)
    assert make("capital_words", relation="at most", count=0).met_by("none here")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("A RIVER and its stone bridges", True),
        ("A river and its stone\n  bridge.", True),
        ("A river without", False),
        ("riverbank, stone bridge", True),
    ],
)
def test_keywords_count_wherever_they_stand(text, right):
    assert make("keywords", words=["river", "stone bridge"]).met_by(text) is right


def test_keywords_of_other_letters():
    assert make("keywords", words=["STRASSE"]).met_by("die straße")
    assert make("keywords", words=["Река"]).met_by("большая РЕКА")
    assert make("keywords", words=["a.c"]).met_by("a.c")
    assert not make("keywords", words=["a.c"]).met_by("abc")


@pytest.mark.parametrize(
    ("text", "right"),
    [("An artful party", True), ("The ART of it", False), ("art", False), ("state-of-the-art!", False)],
)
def test_a_forbidden_word_counts_only_by_itself(text, right):
    assert make("forbidden", words=["art", "c++"]).met_by(text) is right
    assert not make("forbidden", words=["c++"]).met_by("I like C++.")
    assert make("forbidden", words=["a.c"]).met_by("abc")


def test_how_often_a_keyword_stands():
    text = "Sea, sea, the SEA: a seaside."
    assert make("keyword_count", word="sea", relation="exactly", count=4).met_by(text)
    assert not make("keyword_count", word="sea", relation="less than", count=4).met_by(text)
    assert make("keyword_count", word="land", relation="exactly", count=0).met_by(text)


def test_how_often_a_letter_stands():
    assert make("letter_count", letter="e", relation="exactly", count=3).met_by("Eve met")
    assert not make("letter_count", letter="e", relation="less than", count=3).met_by("Eve met")
    assert make("letter_count", letter="Ü", relation="at least", count=1).met_by("über")
    assert make("letter_count", letter="!", relation="exactly", count=2).met_by("Hi!!")


@pytest.mark.parametrize(
    ("text", "right"), [("a b; c", True), ("a, b", False), ("甲，乙", False), ("أ، ب", False)]
)
def test_no_commas(text, right):
    assert make("no_commas").met_by(text) is right


@pytest.mark.parametrize(
    ("text", "right"),
    [("Once upon a time, a fox", True), ("  ONCE upon\na time", True), ("It was once upon a time", False)],
)
def test_the_beginning(text, right):
    assert make("start_phrase", phrase="Once upon a time").met_by(text) is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("All well. That is all I know.", True),
        ('"All well. THAT is all\nI know."\n', True),
        ("That is all I know. Bye", False),
        ("That is all I know", False),
    ],
)
def test_the_end(text, right):
    assert make("end_phrase", phrase="That is all I know.").met_by(text) is right


@pytest.mark.parametrize(
    ("text", "right"),
    [("I say: Maybe later.", True), ("maybe later.", False), ("Surely. Maybe later.", False), ("No.", False)],
)
def test_one_of_some_options(text, right):
    assert make("choice", options=["Surely.", "Maybe later."]).met_by(text) is right


def test_the_request_repeated():
    one = make("repeat_prompt", text="Name a  river.\nNow!")
    assert one.met_by("name a river. now! The Rhine.")
    assert not one.met_by("The Rhine. Name a river. Now!")
    assert not one.met_by("Name a river.")
