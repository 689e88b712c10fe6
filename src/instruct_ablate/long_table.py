"""A table of thousands of rows, drawn as rich draws it in a part of the time.

Rich lays out every cell on its own. Here it is asked once how wide the columns are, and then draws one row for many:
all their lines, one below the other. What is drawn is the same, character for character.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style, StyleType
from rich.table import Table
from rich.text import Text

LONG = 100  # rows from which on it pays
NARROW = 2  # a terminal in which a column has no room left: rich knows what to do

Lines = list[list[Segment]]


class LongTable(Table):
    """A table whose cells are texts of one style each."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the table."""
        if len(self.rows) < LONG:
            yield from super().__rich_console__(console, options)
            return
        columns = [[_Cell(text) for text in column.cells] for column in self.columns]
        widths = self._probe(console, options, columns)
        if min(widths) < NARROW:
            yield from super().__rich_console__(console, options)
            return
        drawn = self._like(widths)
        places = range(len(self.rows))
        for style, run in groupby(places, key=lambda place: self.rows[place].style):
            own = list(run)
            cells = [[column[place] for place in own] for column in columns]
            drawn.add_row(*_blocks(console, options, drawn, cells), style=style)
        yield drawn

    def _like(self, widths: Sequence[int | None]) -> Table:
        """Make a table with no rows yet, and columns of these widths."""
        made = Table(title=self.title, title_justify=self.title_justify)
        for column, width in zip(self.columns, widths, strict=True):
            form = {"justify": column.justify, "overflow": column.overflow, "no_wrap": column.no_wrap}
            made.add_column(column.header, width=width, **form)  # type: ignore[arg-type]
        return made

    def _probe(
        self, console: Console, options: ConsoleOptions, columns: Sequence[Sequence[_Cell]]
    ) -> list[int]:
        """Ask rich how wide each column's content is, with one row that takes as much room as all of them."""
        probed = self._like([None for _ in columns])
        probes = [_Probe(console, options, column) for column in columns]
        probed.add_row(*probes)
        console.render_lines(probed, options)
        return [probe.width for probe in probes]


class _Cell:
    """One cell's text, and whether it is a plain word or words: then its lines are told without rich."""

    __slots__ = ("plain", "style", "text", "word")

    def __init__(self, text: Any) -> None:
        self.text = text if isinstance(text, Text) else Text(str(text))
        self.plain, self.style = self.text.plain, self.text.style
        ascii_ = self.plain.isascii() and self.plain.isprintable() and not self.text.spans
        self.word: bool | None = None if not ascii_ else " " not in self.plain
        if self.word is False and self.plain != self.plain.strip():
            self.word = None

    def lines(self, console: Console, options: ConsoleOptions) -> Lines:
        """Return the lines that the text takes at a width."""
        width, plain = options.max_width, self.plain
        fits = self.word is not None and len(plain) <= width
        if not fits and not (self.word and width > 0 and options.overflow == "fold"):
            return console.render_lines(self.text, options, pad=True)
        style = _style(console, self.style)
        parts = [plain[start : start + width] for start in range(0, len(plain), width)] or [""]
        left = options.justify != "right"
        return [[Segment(part.ljust(width) if left else part.rjust(width), style)] for part in parts]


def _style(console: Console, style: StyleType) -> Style:
    return console.get_style(style, default=Style.null())


class _Probe:
    """What takes as much room as all cells of a column, and sees how much it is given."""

    def __init__(self, console: Console, options: ConsoleOptions, cells: Iterable[_Cell]) -> None:
        self.width, minimum, maximum = 0, 0, 0
        for cell in cells:
            if cell.word:
                least = most = len(cell.plain)
            else:
                least, most = Measurement.get(console, options, cell.text)
            minimum, maximum = max(minimum, least), max(maximum, most)
        self._measured = Measurement(minimum, maximum)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the room that the widest cell takes, and the longest word."""
        return self._measured

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Note the width, and draw nothing."""
        self.width = options.max_width
        yield Segment("")


class _Block:
    """The lines of many cells of one column."""

    def __init__(self, lines: Iterable[list[Segment]]) -> None:
        self._lines = lines

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Take the room that there is: the column's width is fixed."""
        return Measurement(1, options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the lines."""
        end = Segment.line()
        for line in self._lines:
            yield from line
            yield end


def _blocks(
    console: Console, options: ConsoleOptions, drawn: Table, cells: Sequence[Sequence[_Cell]]
) -> list[_Block]:
    """Lay out the rows: every cell of a row gets as many lines as its longest."""
    forms = [
        options.update(
            width=column.width or 0, justify=column.justify, no_wrap=column.no_wrap, overflow=column.overflow
        )
        for column in drawn.columns
    ]
    laid: list[Lines] = [[] for _ in cells]
    for row in zip(*cells, strict=True):
        lines = [cell.lines(console, form) for cell, form in zip(row, forms, strict=True)]
        height = max(map(len, lines))
        for column, own, form in zip(laid, lines, forms, strict=True):
            column.extend(own)
            column.extend([[Segment(" " * form.max_width)]] * (height - len(own)))
    return [_Block(column) for column in laid]
