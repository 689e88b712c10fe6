"""A long table is drawn as rich draws it, character for character, and lays out few cells to do so."""

from __future__ import annotations

import io
import random
import re

import pytest
from rich.color import ColorSystem
from rich.console import Console
from rich.table import Table
from rich.text import Text

from instruct_ablate.long_table import LONG, LongTable
from instruct_ablate.terminal import make_console

WORDS = (
    "done",
    "missing",
    "tiny_llama-simplified-10-s99-cd1da0f7",
    "34,240",
    "",
    "two words",
    " edge ",
    "a\tb",
)
HOSTILE = ("\x1b[2Jred", "zeile\nzwei", "日本語のセル", "e\u0301", "\u202eabc", "x" * 300, "a " * 90)
STYLES = ("", "dim", "cyan", "bold red")


def fill(table: Table, rows: int, words: tuple[str, ...]) -> Table:
    draw = random.Random(rows)
    for number, justify in enumerate(("left", "left", "right", "right")):
        table.add_column(
            f"heading {number}",
            justify=justify,
            no_wrap=number == 1,
            overflow="fold",  # type: ignore[arg-type]
        )
    for number in range(rows):
        cells = [Text(draw.choice(words), style=draw.choice(STYLES)) for _ in range(4)]
        table.add_row(*cells, style=STYLES[number * 3 // rows])
    return table


def drawn(table: Table, width: int, colour: bool, console: Console | None = None) -> list[tuple[str, str]]:
    """Draw a table: each character, with the code of the style that it stands in."""
    console = console or Console()
    console.file, console.width = io.StringIO(), width
    console._force_terminal = colour
    console._color_system = ColorSystem.TRUECOLOR if colour else None
    console.print(table)
    code, seen = "", []
    for piece in re.split(r"(\x1b\[[\d;]*m)", console.file.getvalue()):
        if re.fullmatch(r"\x1b\[[\d;]*m", piece):
            code = piece.removesuffix("\x1b[0m")
        else:
            seen += [(character, code) for character in piece]
    return seen


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("width", [30, 60, 80, 400])
@pytest.mark.parametrize("words", [WORDS[:4], (*WORDS, *HOSTILE)])
@pytest.mark.parametrize("rows", [3, LONG])
def test_it_is_drawn_as_rich_draws_it(rows: int, words: tuple[str, ...], width: int, colour: bool) -> None:
    title = {"title": "a study: many cells", "title_justify": "left"}
    tables = [fill(kind(**title), rows, words) for kind in (Table, LongTable)]  # type: ignore[arg-type]
    usual, own = (drawn(table, width, colour) for table in tables)
    assert own == usual
    assert any(code for _, code in own) == colour
    usual, own = (drawn(table, width, colour, make_console()) for table in tables)
    assert own == usual


def test_rich_lays_out_few_of_its_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    laid: list[Text] = []
    own = Text.wrap

    def wrap(self: Text, *arguments: object, **more: object) -> object:
        laid.append(self)
        return own(self, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Text, "wrap", wrap)
    table = fill(LongTable(), 10 * LONG, WORDS[:4])
    drawn(table, 80, colour=False)
    assert len(laid) < 100
