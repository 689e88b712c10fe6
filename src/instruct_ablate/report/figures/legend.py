"""The names in a figure: beside what they name where they are short, else numbered there and told below the axes.

A figure grows with what is told in it, so that its axes keep their room.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from string import ascii_lowercase
from typing import Any

LETTER, HANDLE = 0.062, 0.5  # inches that a letter and a line take in a legend
# Of a legend: points, inches that an entry takes, and each further line of it.
FONT, ENTRY, LINE = 7, 0.155, 0.12
FREE = 2 * ENTRY  # inches of a legend, for which every figure has room
FREE_ROWS, ROW = 9, 0.2  # rows of an axis for which every figure has room; inches of each further one
SHARE = 0.38  # of a figure's width that names at its side may take
MOST_COLUMNS = 3


def put_legend(axes: Any, key: Sequence[str] = ()) -> None:
    """Put one legend below the axes: above the lines it would hide some. `key` tells what numbered names stand for."""
    from matplotlib.lines import Line2D

    handles, names = axes.get_legend_handles_labels()
    handles = [*(Line2D([], [], linestyle="none") for _ in key), *handles]
    names = [*key, *names]
    if not names:
        return
    width = axes.figure.get_size_inches()[0]
    widest = HANDLE + LETTER * max(map(len, names))
    columns = 1 if key else max(1, min(MOST_COLUMNS, int(width / widest)))
    shown = [textwrap.fill(name, int((width - HANDLE) / LETTER), subsequent_indent="   ") for name in names]
    further = [one.count("\n") for one in shown]
    rows = math.ceil(len(shown) / columns)
    axes.figure.legend(handles, shown, loc="outside lower center", ncols=columns, fontsize=FONT)
    grow(axes, ENTRY * rows + LINE * (sum(further) if columns == 1 else 0) - FREE)


def grow(axes: Any, inches: float) -> None:
    """Make the figure higher by so much; by nothing where that is below 0."""
    width, height = axes.figure.get_size_inches()
    axes.figure.set_size_inches(width, height + max(0.0, inches))


def grow_for(axes: Any, rows: int) -> None:
    """Give each row of an axis the height of a line of text."""
    grow(axes, ROW * (rows - FREE_ROWS))


def names_at_side(axes: Any, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what stands at rows and the key below: the names and no key, or numbers where a name is too long."""
    room = SHARE * axes.figure.get_size_inches()[0]
    if max(map(len, names), default=0) * LETTER <= room:
        return list(names), []
    return _keyed([str(number + 1) for number in range(len(names))], names)


def names_below(axes: Any, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the same of columns, which have letters; names stand slanted below them."""
    room = SHARE * axes.figure.get_size_inches()[1]
    if max(map(len, names), default=0) * LETTER <= room:
        return list(names), []
    return _keyed([_letters(number) for number in range(len(names))], names)


def _keyed(signs: list[str], names: Sequence[str]) -> tuple[list[str], list[str]]:
    return signs, [f"{sign}: {name}" for sign, name in zip(signs, names, strict=True)]


def _letters(number: int) -> str:
    """Return a, b, ..., z, aa, ab, ..."""
    before, last = divmod(number, len(ascii_lowercase))
    return (_letters(before - 1) if before else "") + ascii_lowercase[last]
