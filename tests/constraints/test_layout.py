from __future__ import annotations

import pytest

from instruct_ablate.constraints import make


@pytest.mark.parametrize(
    ("text", "value", "right"),
    [
        ('{"a": 1}', "any", True),
        ('{"a": 1}', "object", True),
        ('{"a": 1}', "list", False),
        ("[1, 2]", "list", True),
        ('```json\n{"a": "ü"}\n```', "object", True),
        ("```\n[1]\n```", "any", True),
        ('Here it is: {"a": 1}', "any", False),
        ("{'a': 1}", "any", False),
        ('{"a": NaN}', "any", False),
        ("yes", "any", False),
        ("[" * 100_000, "any", False),
        ("1" * 10_000, "list", False),
    ],
)
def test_json(text, value, right):
    assert make("json", value=value).met_by(text) is right


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("* one\n* two", 2),
        ("- one\n  - two\n• three", 3),
        ("*one\n-two", 2),
        ("**bold** words\n--- \n* one", 1),
        ("a * b - c", 0),
        ("1. one\n2. two", 0),
    ],
)
def test_bullets(text, count):
    assert make("items", relation="exactly", count=count or 1).met_by(text) is bool(count)
    assert not make("items", relation="exactly", count=count + 1).met_by(text)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("1. one\n2. two\n3. three", True),
        ("Steps:\n 1) one\n 2) two\n 3) three", True),
        ("1. one\n2. two", False),
        ("1. one\n1. two\n1. three", False),
        ("3. one\n2. two\n1. three", False),
        ("* one\n* two\n* three", False),
    ],
)
def test_numbered_items(text, right):
    assert make("items", mark="number", relation="exactly", count=3).met_by(text) is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("<<Über Flüsse>>\nText", True),
        ("text <<t>> text", True),
        ("<< >>", False),
        ("<t>", False),
        ("<<a\nb>>", False),
    ],
)
def test_title(text, right):
    assert make("title").met_by(text) is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Part 1\nThis.\nPart 2\nThat.", True),
        ("Part 1: a Part2: b", True),
        ("Part 1 only", False),
        ("part 1 part 2", False),
        ("Part one, Part two", False),
        ("Counterpart 1, Part 2", False),
    ],
)
def test_sections(text, right):
    assert make("sections", name="Part", count=2).met_by(text) is right
    assert not make("sections", name="P.rt", count=2).met_by(text), "a name is no pattern"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a *b* c **d e** f", 2),
        ("* one\n* two", 0),
        ("** **", 0),
        ("* a *b* *c d*\n* e", 2),
        ("2 * 3 * 4", 0),
        ("*ä*", 1),
        ("nothing", 0),
        ("***both***", 1),
    ],
)
def test_highlights(text, count):
    assert not make("highlights", count=count + 1).met_by(text)
    assert make("highlights", relation="exactly", count=count or 1).met_by(text) is bool(count)


@pytest.mark.parametrize(
    ("text", "right"), [("[name] at [Straße 1]", True), ("[a] []", False), ("(a) (b)", False)]
)
def test_placeholders(text, right):
    assert make("placeholders", count=2).met_by(text) is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Bye.\nP.S. One more.", True),
        ("Bye. p. s. more", True),
        ("P.S.", True),
        ("PS: more", False),
        ("Bye.\nP.P.S. more", False),
        ("step.s.", False),
    ],
)
def test_postscript(text, right):
    assert make("postscript", marker="P.S.").met_by(text) is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ('"All of it."', True),
        (' "All"\n', True),
        ("“Alles”", True),
        ('"', False),
        ('""', False),
        ('" "', False),
        ('"A" and b', False),
        ("'All'", False),
    ],
)
def test_quoted(text, right):
    assert make("quoted").met_by(text) is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("One\n******\nTwo", True),
        ("******One******Two******", True),
        ("One\n******\nOne", False),
        ("One", False),
        ("One ****** Two ****** Three", False),
        ("One ****** ****** Two", False),
        ("******", False),
    ],
)
def test_two_answers(text, right):
    assert make("two_answers").met_by(text) is right
