from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.limits import (
    MANY,
    check_limits,
    number,
    one_of,
    path,
    path_fault,
    shown,
    text,
    text_fault,
    texts,
    whole,
)


@dataclass
class Some:
    count: int | None = 1
    share: float = 0.5
    name: str = "a"
    names: list[str] = field(default_factory=list)


LIMITS = {
    "count": whole(1, 10).or_null("for all"),
    "share": number(0, 1, above=True),
    "name": one_of(("a", "abc")),
    "names": texts(5),
}


def test_ends_belong_to_the_limits() -> None:
    check_limits("some", Some(), LIMITS)
    check_limits("some", Some(count=10, share=1.0, name="abc", names=["12345"]), LIMITS)
    check_limits("some", Some(count=None), LIMITS)


@pytest.mark.parametrize(
    ("some", "said"),
    [
        (Some(count=0), r"^some\.count=0 must be at least 1, or null for all$"),
        (Some(count=11), "at most 10"),
        (Some(share=0.0), r"some\.share=0.0 must be above 0 and at most 1"),
        (Some(share=math.nan), "share=nan"),
        (Some(share=math.inf), "share=inf"),
        (Some(share=1.01), "at most 1"),
        (Some(name="abcd"), "did you mean 'abc'"),
        (Some(names=["123456"]), "at most 5"),
        (Some(names=[""]), "is empty"),
        (Some(names="abc"), "must be a list"),  # type: ignore[arg-type]
    ],
)
def test_one_fault_is_one_line(some: Some, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        check_limits("some", some, LIMITS)
    assert not isinstance(caught.value, UserErrors)


def test_several_faults_are_told_at_once_and_top_keys_have_no_group() -> None:
    with pytest.raises(UserErrors) as caught:
        check_limits("", Some(count=-1, share=-1.0), LIMITS)
    assert [fault.partition("=")[0] for fault in caught.value.faults] == ["count", "share"]


def test_below_leaves_the_upper_end_out() -> None:
    limit = number(0, 1, below=True)
    assert limit.fault("x", 0.999) is None
    assert "below 1" in str(limit.fault("x", 1.0))


def test_counts_fit_into_the_integers_of_libraries() -> None:
    assert whole(0).fault("x", MANY) is None
    assert whole(0).fault("x", MANY + 1) is not None


@pytest.mark.parametrize("given", ["", "  ", "a\nb", "a\0", "\x7f", "\udc80", 3, None])
def test_text_that_cannot_be_shown(given: object) -> None:
    assert text_fault(given) is not None
    assert text().fault("x", given) is not None


def test_letters_of_any_language_are_text() -> None:
    assert text_fault("é 实验 🙂 it's a=b") is None


def test_paths_are_measured_in_bytes_of_each_part() -> None:
    assert path_fault("a/" + 255 * "x") is None
    assert "255 bytes" in str(path_fault("a/" + 256 * "x"))
    assert "255 bytes" in str(path_fault(86 * "实"))
    assert "does not know" in str(path().fault("x", "~nobody-of-this-name/x"))


def test_long_values_are_cut_in_messages() -> None:
    assert shown("a" * 78) == repr("a" * 78)
    assert len(shown("a" * 5000)) < 100
    assert "\n" not in shown("a\nb")
