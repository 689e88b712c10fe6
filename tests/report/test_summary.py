"""The summary: one row a variant, differences and states told in plain sight."""

from __future__ import annotations

from rich.console import Console

from instruct_ablate.report.rows import Mean, build_rows
from instruct_ablate.report.summary import caption, number, summary_table, varying_axes
from tests.report.cells import make_cell


def shown(cells) -> str:
    rows = build_rows(cells)
    console = Console(width=200, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(summary_table("study", rows, "original"))
    return captured.get()


def test_one_row_a_variant_with_differences():
    text = shown([make_cell(20.0, data_budget=0), make_cell(60.0), make_cell(57.5, instruction="simplified")])
    lines = [line for line in text.splitlines() if "60.00" in line or "57.50" in line]
    assert "-2.50" in text
    assert "+40.00" in text
    assert "(untuned)" in text
    assert len(lines) == 2


def test_missing_cells_are_named_as_such():
    text = shown([make_cell(60.0), make_cell(None, instruction="delusive"), make_cell(None, seed=1)])
    assert text.count("1 missing") == 2


def test_only_varying_axes_have_a_column():
    rows = build_rows([make_cell(60.0), make_cell(50.0, instruction="simplified")])
    assert varying_axes(rows) == ("instruction",)
    rows = build_rows([make_cell(60.0), make_cell(50.0, data_budget=20)])
    assert set(varying_axes(rows)) == {"data_budget", "instruction"}


def test_a_test_variant_gets_a_column():
    rows = build_rows([make_cell(60.0), make_cell(50.0, tested="delusive")])
    assert varying_axes(rows)[-1] == "tested on"


def test_the_caption_says_what_rows_share():
    text = caption(build_rows([make_cell(60.0), make_cell(50.0, instruction="simplified")]))
    assert "model=tiny" in text
    assert "budget=8" in text
    assert "One seed" in text


def test_numbers():
    assert number(None) == "-"
    assert number(Mean(1.234, None, 1)) == "1.23"
    assert number(Mean(1.234, 0.5, 3), signed=True) == "+1.23 ± 0.50"
