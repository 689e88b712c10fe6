from collections import Counter

import pytest

from instruct_ablate.tasks.intake.choices import choices_of, references_of
from instruct_ablate.tasks.intake.text import NotTextError


@pytest.mark.parametrize(
    "value",
    [
        ["Yes", "No"],
        ("Yes", "No"),
        "Yes ||| No",
        "Yes|||No",
        '["Yes", "No"]',
        "['Yes', 'No']",
        {"text": ["Yes", "No"], "label": ["A", "B"]},
        [{"text": "Yes", "label": "A"}, {"label": "B", "text": "No"}],
        {"A": "Yes", "B": "No"},
        '{"text": ["Yes", "No"]}',
        ["Yes", None, "No"],
    ],
)
def test_choices_in_the_shapes_people_use(value):
    assert choices_of(value, Counter()) == ("Yes", "No")


@pytest.mark.parametrize("value", [None, [], "", " ", {"text": []}])
def test_no_choices(value):
    assert choices_of(value, Counter()) == ()


@pytest.mark.parametrize("value", ["Yes, No", 3, {"labels": ["Yes"]}, [["Yes"]], [True, False], {}, '["a'])
def test_what_is_no_list_is_not_iterated(value):
    with pytest.raises(NotTextError):
        choices_of(value, Counter())


@pytest.mark.parametrize(
    ("value", "references"),
    [
        ("blue", ("blue",)),
        (["blue", "azure"], ("blue", "azure")),
        ({"text": ["blue", "azure"], "answer_start": [0, 1]}, ("blue", "azure")),
        ([{"text": "blue"}, {"text": "azure"}], ("blue", "azure")),
        ({"text": "blue"}, ("blue",)),
        ("a ||| b", ("a ||| b",)),
        ("['a']", ("['a']",)),
        (3, ("3",)),
        ([None, "x"], ("x",)),
        (None, ()),
        ([], ()),
        ("", ("",)),
    ],
)
def test_references(value, references):
    assert references_of(value, Counter()) == references


@pytest.mark.parametrize("value", [True, {"A": "x"}, [["x"]], {"start": 3}])
def test_what_is_no_reference(value):
    with pytest.raises(NotTextError):
        references_of(value, Counter())


def test_a_null_among_others_is_noted_and_a_lone_one_is_not():
    met = Counter()
    assert references_of([None, "x"], met) == ("x",)
    assert met == {"null in a list left out": 1}
    for value in (None, [None], "x"):
        lone = Counter()
        references_of(value, lone)
        assert not lone


def test_only_single_letters_name_choices():
    assert choices_of({"A": "blue"}, Counter()) == ("blue",)
    with pytest.raises(NotTextError, match="without the key 'text'"):
        choices_of({"AB": "blue"}, Counter())
    assert choices_of('{"A": "blue", "B": "red"}', Counter()) == ("blue", "red")


def test_long_texts_that_are_no_choices_are_cut_in_the_message():
    with pytest.raises(NotTextError, match=rf"the text '{'x' * 40}'; answer choices are"):
        choices_of("x" * 41, Counter())
