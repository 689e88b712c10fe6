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
    kind: str | None = "x"
    names: list[str] = field(default_factory=list)


LIMITS = {
    "count": whole(1, 10).or_null("for all"),
    "share": number(0, 1, above=True),
    "name": one_of(("a", "abc")),
    "kind": one_of(("x", "y")).or_null("for any"),
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
        (Some(kind="z"), r"Allowed: x, y, or null for any$"),
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


@pytest.mark.parametrize("letter", ["\x1f", "\x7f", *map(chr, (0xD800, 0xDFFF))])
def test_the_ends_of_what_cannot_be_shown(letter: str) -> None:
    assert str(text_fault(f"a{letter}")).startswith("holds control characters")


@pytest.mark.parametrize("letter", [" ", "~", "\x80", "\ud7ff", "\ue000"])
def test_the_next_letters_are_text(letter: str) -> None:
    assert text_fault(f"a{letter}b") is None


def test_what_is_as_long_as_may_be_goes() -> None:
    assert MANY == 2_147_483_647
    assert text().fault("x", 4000 * "a") is None
    assert (
        text().fault("x", 4001 * "a") == "x=" + shown(4001 * "a") + " has 4001 characters: give at most 4000"
    )
    assert text_fault("abc", 3) is None
    assert text_fault("abcd", 3) == "has 4 characters: give at most 3"


def test_a_hint_ends_the_message_of_either_number() -> None:
    assert whole(0, hint=": 0 is none").fault("x", -1) == "x=-1 must be at least 0: 0 is none"
    assert whole(0, 9, ": 0 is none").fault("x", 10) == "x=10 must be at least 0 and at most 9: 0 is none"
    assert number(0, 1, hint=" (or so)").fault("x", 2) == "x=2 must be at least 0 and at most 1 (or so)"


def test_the_upper_end_of_a_whole_number_is_told_only_to_who_passed_it() -> None:
    assert whole(1, 10).fault("x", 0) == "x=0 must be at least 1"
    assert whole(1, 10).fault("x", "11") == "x='11' must be at least 1"
    assert whole(1, 10).fault("x", 10) is None
    assert whole(1, 10).fault("x", 11) == "x=11 must be at least 1 and at most 10"


def test_numbers_have_both_ends_unless_one_is_left_out() -> None:
    assert [number(0, 1).fault("x", value) for value in (0, 0.0, 1, 1.0)] == [None] * 4
    assert number(0, 1, above=True).fault("x", 1) is None
    assert number(0, 1, below=True).fault("x", 0) is None
    assert number(0, 1).fault("x", "0.5") == "x='0.5' must be at least 0 and at most 1"


def test_null_goes_only_where_it_means_something() -> None:
    check_limits("", Some(count=None), {"count": whole(1).or_null("for all")})
    with pytest.raises(UserError, match=r"^count=None must be at least 1$"):
        check_limits("", Some(count=None), {"count": whole(1)})
    with pytest.raises(UserError, match=r"^group\.count=0 must be at least 1, or null for all$"):
        check_limits("group", Some(count=0), {"count": whole(1).or_null("for all")})


def test_values_are_shown_up_to_eighty_characters() -> None:
    assert shown(78 * "a") == f"'{78 * 'a'}'"
    assert shown(79 * "a") == f"'{59 * 'a'}… (81 characters)"
    assert shown(12) == "12"


def test_an_unknown_name_is_cut() -> None:
    assert "'" + 60 * "z" + "'" in str(one_of(("a", "b")).fault("x", 61 * "z"))
    assert one_of(("a", "b")).fault("x", "a") is None
