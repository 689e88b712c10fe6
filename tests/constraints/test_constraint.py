from __future__ import annotations

import json

import pytest

from instruct_ablate.constraints import Constraint, constraints_of, kinds, make, to_text
from instruct_ablate.constraints.constraint import compares
from instruct_ablate.errors import UserError

# One of each kind, with all its parameters.
EXAMPLES: tuple[Constraint, ...] = (
    make("words", relation="at least", count=3),
    make("sentences", relation="less than", count=2),
    make("paragraphs", count=2, divider="***"),
    make("paragraph_start", count=2, place=2, word="then"),
    make("case", case="upper", language="en"),
    make("capital_words", relation="exactly", count=0),
    make("keywords", words=["a b", "c"]),
    make("forbidden", words=["a"]),
    make("keyword_count", word="a", relation="at most", count=2),
    make("letter_count", letter="ß", relation="at least", count=1),
    make("json", value="object"),
    make("items", mark="number", relation="exactly", count=3),
    make("title"),
    make("sections", name="Part", relation="at least", count=2),
    make("highlights", relation="at least", count=1),
    make("placeholders", relation="at least", count=1),
    make("postscript", marker="P.S."),
    make("quoted"),
    make("start_phrase", phrase="Dear"),
    make("end_phrase", phrase="Yours."),
    make("choice", options=["yes.", "no."]),
    make("no_commas"),
    make("language", language="de"),
    make("two_answers"),
    make("repeat_prompt", text="Say\n“hi”."),
)


def test_there_are_twenty_five_kinds():
    assert len(kinds()) == 25
    assert {one.kind for one in EXAMPLES} == set(kinds())


@pytest.mark.parametrize("one", EXAMPLES, ids=lambda one: one.kind)
def test_a_constraint_is_the_same_once_it_has_been_text(one):
    text = to_text(one)
    assert text.isascii()
    assert "\n" not in text
    assert constraints_of((text,)) == (one,)
    assert constraints_of((text, text)) == (one, one)


@pytest.mark.parametrize("one", EXAMPLES, ids=lambda one: one.kind)
@pytest.mark.parametrize("text", ["", "  ", "\n\t \n"])
def test_a_text_of_nothing_keeps_to_none(one, text):
    assert not one.met_by(text)


LONG = (
    "```" + " \n" * 20_000 + "x",
    "." * 40_000 + "x",
    "a" * 40_000 + " .",
    "* " * 20_000,
    "<<" * 20_000,
    "[" * 40_000,
)
LONG += (
    "a. " * 5_000,
    '"' * 40_000,
    "****** " * 9_000,
    "\n" * 40_000 + "x",
    "*a" + " " * 40_000 + "b",
    "1" * 40_000,
)


@pytest.mark.parametrize("one", EXAMPLES, ids=lambda one: one.kind)
def test_what_a_model_repeats_without_end_is_checked_all_the_same(one):
    """A check whose time grew with the cube of the length would never end."""
    if one.kind in ("language", "case"):
        pytest.importorskip("py3langid")
    for text in LONG:
        assert one.met_by(text[:2_000] if one.kind in ("language", "case") else text) in (True, False)


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "",
        '{"constraint": "word", "count": 3}',
        '{"constraint": "words", "count": "3"}',
        '{"constraint": "words", "count": 3, "many": 1}',
        '{"constraint": "words", "count": 3, "count": 4}',
        '{"constraint": ["words"], "count": 3}',
        '{"constraint": "words"',
        '{"constraint":' + "[" * 20_000,
        json.dumps(["words"]),
    ],
)
def test_other_references_are_no_constraints(text):
    good = to_text(make("title"))
    assert constraints_of((text,)) == ()
    assert constraints_of((good, text)) == ()
    assert constraints_of(()) == ()


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("word", {}, r"unknown constraint 'word'; did you mean 'words'\?"),
        (
            "words",
            {"counts": 3},
            r"unknown parameter 'counts'; did you mean 'count'\? It has: relation, count",
        ),
        ("title", {"words": 3}, r"unknown parameter 'words' It has: none|unknown parameter 'words'"),
        ("words", {"count": 0}, "count=0: give a whole number from 1"),
        ("words", {"count": True}, "count=True: give a whole number"),
        ("words", {"count": 2.5}, r"count=2\.5: give a whole number"),
        ("words", {"count": 10**9}, "give a whole number from 1 to 100000"),
        ("words", {}, "count=None: give a whole number"),
        ("words", {"count": 3, "relation": "more"}, "relation='more': give one of at least, at most"),
        ("keywords", {"words": []}, "give a list of texts"),
        ("keywords", {"words": "one"}, "give a list of texts"),
        ("keywords", {"words": ["a", " "]}, "give a text"),
        ("letter_count", {"letter": "ab", "count": 1}, "give one letter"),
        ("language", {"language": "German"}, "give the code of a language"),
        ("start_phrase", {}, "give a text"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(kind, values, said):
    with pytest.raises(UserError, match=said) as caught:
        make(kind, **values)
    assert "\n" not in str(caught.value)


def test_a_parameter_of_a_choice_has_a_usual_value():
    assert make("words", count=3).get("relation") == "at least"
    assert make("paragraphs", count=3).get("divider") == "***"
    assert make("case").get("language") is None


@pytest.mark.parametrize(
    ("how", "right"),
    [
        ("at least", (False, True, True)),
        ("at most", (True, True, False)),
        ("less than", (True, False, False)),
        ("exactly", (False, True, False)),
    ],
)
def test_relations(how, right):
    assert tuple(compares(found, how, 3) for found in (2, 3, 4)) == right
