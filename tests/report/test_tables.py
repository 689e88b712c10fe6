"""Tables: what is written can be read back, and pasted."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from instruct_ablate.report.rows import build_rows
from instruct_ablate.report.tables import (
    Table,
    comma_separated,
    group_table,
    latex,
    main_table,
    markdown,
    tidy,
    write_tidy,
)
from tests.report.cells import make_cell

CELLS = [make_cell(50.0), make_cell(48.0, instruction="simplified"), make_cell(None, seed=1)]


def test_main_table_has_a_line_a_setting_and_says_what_is_missing():
    table = main_table(build_rows(CELLS), "original")
    assert [line[0] for line in table.lines] == ["original", "simplified"]
    assert table.lines[0][-1] == "1 missing"
    assert table.lines[1][-1] == "done"
    assert "-2.00" in table.lines[1]


def test_csv_reads_back():
    table = main_table(build_rows(CELLS), "original")
    rows = list(csv.reader(io.StringIO(comma_separated(table))))
    assert tuple(rows[0]) == table.headings
    assert tuple(rows[1]) == table.lines[0]


def test_markdown_keeps_bars_out_of_the_columns():
    text = markdown(Table("t", ("a", "b"), (("x|y", "1"),)))
    assert text.splitlines()[2] == r"| x\|y | 1 |"


def test_groups():
    categories = group_table(CELLS, "category")
    assert [line[6] for line in categories.lines] == ["Logic", "Rewriting"] * 2
    tasks = group_table(CELLS, "task")
    assert [line[7] for line in tasks.lines] == ["task_c", "task_g"] * 2
    assert {len(line) for line in tasks.lines} == {len(tasks.headings)}
    assert {len(line) for line in categories.lines} == {len(categories.headings)}


def test_tidy_has_a_row_a_cell_test_variant_and_task(tmp_path: Path):
    assert len(list(tidy(CELLS))) == 4
    write_tidy(CELLS, tmp_path / "tidy.parquet")
    frame = pq.read_table(tmp_path / "tidy.parquet").to_pylist()
    assert {row["task"] for row in frame} == {"task_c", "task_g"}
    assert frame[0]["exact_match"] == 50.0
    assert frame[0]["tested_on"] == "original"


def test_latex_escapes():
    text = latex(Table("t", ("a_b", "50 %"), (("x & y", "1 ± 2"),)), "100 % of $1 #2")
    assert r"a\_b" in text
    assert r"x \& y" in text
    assert r"1 $\pm$ 2" in text
    assert r"100 \% of \$1 \#2" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not here")
def test_latex_compiles(tmp_path: Path):
    table = main_table(build_rows(CELLS), "original")
    body = latex(table, "A study, 100 % real, with_underscores.")
    document = (
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n" + body + "\\end{document}\n"
    )
    (tmp_path / "t.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "t.pdf").stat().st_size > 1000
