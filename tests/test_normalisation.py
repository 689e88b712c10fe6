from __future__ import annotations

import pytest

from instruct_ablate.normalisation import classes, is_answerable, label_form, merged, normalised, strict


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
