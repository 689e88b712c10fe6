"""The two rules of comparing texts."""

from __future__ import annotations

import pytest

from instruct_ablate.normalisation import normalised, strict


@pytest.mark.parametrize(
    ("text", "same"),
    [("The U.S.\t is\n big.", "the us is big"), ("  Yes! ", "yes"), ("a-b", "ab"), ("naïve?", "naïve")],
)
def test_normalised_keeps_articles_and_drops_case_punctuation_and_space(text: str, same: str) -> None:
    assert normalised(text) == same


def test_signs_are_nothing_once_normalised() -> None:
    assert normalised("+") == normalised("-") == normalised("") == ""


def test_strict_takes_off_white_space_at_the_ends_alone() -> None:
    assert strict(" Yes. \n") == "Yes."
    assert strict("a  b") == "a  b"
