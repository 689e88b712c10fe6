from __future__ import annotations

import pytest

from instruct_ablate.normalisation import (
    alike,
    classes,
    is_answerable,
    label_form,
    merged,
    merged_answers,
    normalised,
    strict,
)


@pytest.mark.parametrize(
    ("said", "right", "equal"),
    [(" The  Cat! ", "the cat", True), ("a cat", "cat", False), ("«x»", "x", False), ("", "...", True)],
)
def test_normalised_ignores_case_punctuation_and_space(said: str, right: str, equal: bool) -> None:
    assert (normalised(said) == normalised(right)) is equal


def test_normalised_keeps_articles() -> None:
    assert normalised("The U.S.\t is\n big.") == "the us is big"


def test_strict_is_plain_equality_but_for_space_at_the_ends() -> None:
    assert strict(" Yes.\n") == "Yes."


@pytest.mark.parametrize(
    ("labels", "groups"),
    [
        (("-1", "0", "1"), (("-1", "1"),)),
        (("1.0", "10", "2"), (("1.0", "10"),)),
        (("+", "-", ""), (("+", "-", ""),)),
        (("yes", "no", "yes "), ()),
    ],
)
def test_labels_that_exact_match_takes_for_one(labels: tuple[str, ...], groups: object) -> None:
    assert merged(labels) == groups


@pytest.mark.parametrize(
    ("lists", "references", "groups"),
    [
        ([("-1", "0")], ("-1", "0", "1"), (("-1", "1"),)),  # what a derived space has lost
        ([("+", "-")], ("+", "-", ""), (("+", "-", ""),)),
        ([("-1", "0")], ("0", "1"), (("-1", "1"),)),  # a label that is nowhere right
        ([("Her", "her")], ("HER",), (("Her", "her", "HER"),)),
        ([("Yes", "no")], ("yes", "Yes.", "NO"), ()),  # spellings
        ([("Her", "her")], (), (("Her", "her"),)),
        ([("a", "b"), ("-1", "1")], ("1.0", "10"), (("-1", "1"),)),  # rows with choices of their own
        ([], ("-1", "1"), ()),
    ],
)
def test_answers_of_a_task_that_exact_match_takes_for_one(
    lists: list[tuple[str, ...]], references: tuple[str, ...], groups: object
) -> None:
    assert merged_answers(lists, references) == groups


def test_merged_answers_are_named() -> None:
    assert alike(("-1", "1")) == "exact match takes '-1' and '1' for one"


def test_classes_are_what_exact_match_counts() -> None:
    assert classes(("-1", "0", "1", " 0")) == (("-1", "1"), ("0",))


def test_a_choice_is_right_under_exact_match() -> None:
    assert is_answerable(("Yes", "No"), ("yes.",))
    assert not is_answerable(("Yes", "No"), ("maybe",))
    assert not is_answerable((), ("maybe",))


def test_labels_of_punctuation_alone_are_told_apart() -> None:
    assert label_form("  The   END. ") == "the end"
    assert label_form(" : ") == ":"
    assert label_form("-") != label_form("+")
