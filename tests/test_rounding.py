"""Equal numbers stay equal, whatever rounding has put between them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import instruct_ablate
from instruct_ablate.rounding import exceeds, first_best, written


def test_what_rounding_alone_sets_apart_does_not_exceed() -> None:
    of_a_hundred = [100.0 * (number / 100) for number in range(101)]
    apart = [high - low for low, high in zip(of_a_hundred, of_a_hundred[2:], strict=False)]
    assert any(one > 2.0 for one in apart), "else this shows nothing"
    assert not any(exceeds(one, 2.0) or exceeds(2.0, one) for one in apart)
    assert exceeds(2.01, 2.0)
    assert exceeds(-1.0, -1.001)
    assert not exceeds(2.0, 2.01)
    assert exceeds(2.0, float("-inf")), "a finite score is above one that is none"


def test_the_first_of_equal_values_is_the_best() -> None:
    near = 0.1 + 0.2
    assert near > 0.3
    assert [
        first_best(values) for values in ([0.3, near], [near, 0.3], [0.2, 0.3, near], [5.0], [1.0, 3.0, 2.0])
    ] == [*(0, 0, 1, 0, 1)]


@pytest.mark.parametrize(
    ("value", "digits", "signed", "text"),
    [
        *[(noise, 2, True, "+0.00") for noise in (0.0, -0.0, 0.3 - (0.1 + 0.2), (0.1 + 0.2) - 0.3)],
        (-0.0, 1, False, "0.0"),
        (-0.004, 2, True, "-0.00"),  # the untuned model is a little better, all the same
        (-3.75, 2, True, "-3.75"),
        (48.551, 2, False, "48.55"),
        (float("nan"), 2, True, "+nan"),
    ],
)
def test_no_minus_stands_before_what_rounding_alone_made(
    value: float, digits: int, signed: bool, text: str
) -> None:
    assert written(value, digits, signed=signed) == text


def test_signed_numbers_are_written_by_one_piece_of_code() -> None:
    source = Path(instruct_ablate.__file__).parent
    signed = re.compile(r":\+\.[\d{]")
    own = [path for path in source.rglob("*.py") if signed.search(path.read_text(encoding="utf-8"))]
    assert own == []
