"""Names in a figure: whole where there is room, else by a sign that the key tells; a figure grows and never shrinks."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.figure import Figure

from instruct_ablate.report.figures.legend import (
    FREE_ROWS,
    LETTER,
    MOST_COLUMNS,
    ROW,
    SHARE,
    grow,
    grow_for,
    names_at_side,
    names_below,
    put_legend,
)

WIDTH, HEIGHT = 5.2, 3.6


@pytest.fixture
def axes() -> Any:
    return Figure(figsize=(WIDTH, HEIGHT)).subplots()


def size(axes: Any) -> list[float]:
    return [round(float(inches), 6) for inches in axes.figure.get_size_inches()]


def test_every_name_is_told_once_by_its_number_or_letters():
    axes = Figure(figsize=(5.2, 3.6)).subplots()
    names = [f"{'long ' * 20}{number}" for number in range(30)]
    signs, key = names_at_side(axes, names)
    assert key == [f"{sign}: {name}" for sign, name in zip(signs, names, strict=True)]
    letters, _ = names_below(axes, names)
    assert len({*letters}) == 30
    assert letters[25:28] == ["z", "aa", "ab"]


@pytest.mark.parametrize(("names_of", "side"), [(names_at_side, WIDTH), (names_below, HEIGHT)])
def test_a_name_stands_there_whole_as_long_as_it_has_room(names_of: Any, side: float, axes: Any) -> None:
    letters = int(SHARE * side / LETTER)
    fits, long = "x" * letters, "x" * (letters + 1)
    assert names_of(axes, ["short", fits]) == (["short", fits], [])
    signs, key = names_of(axes, ["short", long])
    assert [line.partition(": ") for line in key] == [(signs[0], ": ", "short"), (signs[1], ": ", long)]
    assert names_of(axes, []) == ([], [])


def test_letters_go_on_behind_zz(axes: Any) -> None:
    letters, _ = names_below(axes, ["long " * 40] * (26 + 26 * 26 + 2))
    assert len({*letters}) == len(letters)
    assert letters[-3:] == ["zz", "aaa", "aab"]


def test_a_figure_grows_and_never_shrinks(axes: Any) -> None:
    grow(axes, -1.0)
    grow_for(axes, FREE_ROWS)
    assert size(axes) == [WIDTH, HEIGHT]
    grow_for(axes, FREE_ROWS + 2)
    assert size(axes) == [WIDTH, round(HEIGHT + 2 * ROW, 6)]


def test_without_names_there_is_no_legend(axes: Any) -> None:
    put_legend(axes)
    assert axes.figure.legends == []
    assert size(axes) == [WIDTH, HEIGHT]


def test_short_names_share_a_line_and_a_key_has_one_for_each(axes: Any) -> None:
    for name in "abcdefghi":
        axes.plot([0, 1], [0, 1], label=name)
    put_legend(axes)
    put_legend(axes, ["1: one", "2: two"])
    beside, below = axes.figure.legends
    assert (beside._ncols, below._ncols) == (MOST_COLUMNS, 1)
    assert [text.get_text() for text in below.get_texts()] == ["1: one", "2: two", *"abcdefghi"]


def test_a_name_wider_than_the_figure_is_broken_and_the_figure_grows(axes: Any) -> None:
    axes.plot([0, 1], [0, 1], label="word " * 60)
    put_legend(axes)
    (legend,) = axes.figure.legends
    lines = legend.get_texts()[0].get_text().splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) * LETTER <= WIDTH
    assert size(axes)[1] > HEIGHT
