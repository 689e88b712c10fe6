"""Tables: what is written can be read back, and pasted."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from instruct_ablate.report.report import write_report
from instruct_ablate.report.seed_means import build_rows
from instruct_ablate.report.tables import (
    Table,
    comma_separated,
    group_table,
    latex,
    main_table,
    markdown,
    tidy,
    write_table,
    write_tidy,
)
from tests.left_out import left_out
from tests.report.cells import make_cell
from tests.report.studies import write_study

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


def test_tidy_columns_are_those_of_its_rows_in_their_order(tmp_path: Path):
    first, *others = CELLS
    tasks = [one.score for one in first.blocks[0].scores.tasks]
    further = (*tasks[0].values, ("mine", 3.0), ("seed", 9.0))  # a user's metric may be called as a key is
    scores = first.blocks[0].scores
    renamed = replace(scores.tasks[0], score=replace(tasks[0], values=further))
    block = replace(first.blocks[0], scores=replace(scores, tasks=(renamed, *scores.tasks[1:])))
    cells = [*others, replace(first, blocks=(block,)), make_cell(None)]
    rows = list(tidy(cells))
    names = list(dict.fromkeys(name for row in rows for name in row))
    write_tidy(cells, tmp_path / "tidy.parquet")
    table = pq.read_table(tmp_path / "tidy.parquet")
    assert table.column_names == names
    assert table.to_pylist() == [{name: row.get(name) for name in names} for row in rows]
    assert 9.0 in table.column("seed").to_pylist()


def test_tidy_has_a_row_a_cell_test_variant_and_task(tmp_path: Path):
    assert len(list(tidy(CELLS))) == 4
    write_tidy(CELLS, tmp_path / "tidy.parquet")
    frame = pq.read_table(tmp_path / "tidy.parquet").to_pylist()
    assert {row["task"] for row in frame} == {"task_c", "task_g"}
    assert frame[0]["exact_match"] == 50.0
    first = {
        key: frame[0][key]
        for key in ("cell", "identity", "tested_on", "kind", "category", "seed", "instances")
    }
    assert first == {
        "cell": CELLS[0].name,
        "identity": CELLS[0].identity,
        "tested_on": "original",
        "kind": "classification",
        "category": "Logic",
        "seed": 0,
        "instances": 100,
    }
    assert (frame[0]["model"], frame[0]["evaluation.instructions"]) == ("tiny", "original"), (
        "and all of the setting"
    )


def test_latex_escapes():
    text = latex(Table("t", ("a_b", "50 %"), (("x & y", "1 ± 2"),)), "100 % of $1 #2")
    assert r"a\_b" in text
    assert r"x \& y" in text
    assert r"1 $\pm$ 2" in text
    assert r"100 \% of \$1 \#2" in text


def test_latex_escapes_what_the_usual_fonts_lack():
    text = latex(Table("t", ("p",), (("<0.001",), ("[+1, +2]",), ("任务 é",), ("014_*…",))), "")
    assert r"\textless{}0.001" in text
    assert "{[}+1, +2{]}" in text, "a bracket after a line's end would be its optional argument"
    assert "?? é" in text
    assert r"014\_*..." in text


def compiled(folder: Path, bodies: Sequence[str]) -> bytes:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not here")
    packages = "\\usepackage{booktabs,graphicx,longtable}"
    document = "\n".join(
        ["\\documentclass{article}", packages, "\\begin{document}", *bodies, "\\end{document}"]
    )
    (folder / "t.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout[-2000:]
    return (folder / "t.pdf").read_bytes()


@pytest.mark.slow
def test_every_latex_table_of_a_report_compiles(tmp_path: Path):
    hostile = make_cell(47.0, instruction="50%_of&#1~^{x}<任>\\|", seed=1)
    study = write_study(tmp_path / "a_study & 100%", [*CELLS, replace(hostile, name="hostile_1")])
    tables = sorted(write_report(study, tmp_path / "report").folder.glob("*.tex"))
    assert [path.stem for path in tables] == ["categories", "differences", "main", "tasks"]
    assert len(compiled(tmp_path, [path.read_text(encoding="utf-8") for path in tables])) > 1000


@pytest.mark.slow
def test_a_table_longer_than_a_page_compiles(tmp_path: Path):
    lines = tuple((f"task_{number}", f"{number}.00 ± 0.10") for number in range(2000))
    assert len(compiled(tmp_path, [latex(Table("t", ("task", "exact match"), lines), "Long")])) > 1000


def test_a_spreadsheet_calculates_nothing_of_a_csv_file() -> None:
    hostile = ("=1+1", "+cmd|' /C calc'!A0", "-2+3+cmd", "@SUM(A1)", "\t=1", "-a")
    numbers = ("-0.50", "+32.00", "-", "-1.20 [-3.00, +0.60]", "12")
    table = Table("t", tuple("abcdef"), (hostile, (*numbers, "original")))
    rows = list(csv.reader(io.StringIO(comma_separated(table))))
    assert rows[1] == [f"'{cell}" for cell in hostile]
    assert rows[2] == [*numbers, "original"]


def test_names_stand_left_and_numbers_right():
    table = Table("t", ("a", "b", "c"), (("x", "1", "2"),), labels=1)
    assert "\\begin{tabular}{lrr}" in latex(table, "")
    assert markdown(table).splitlines()[1] == "| --- | ---: | ---: |"
    assert "\\begin{tabular}{llr}" in latex(replace(table, labels=2), "")


def test_a_table_that_does_not_fit_a_page_runs_over_several():
    lines = tuple((str(number), "1") for number in range(46))
    assert "\\begin{table}" in latex(Table("t", ("a", "b"), lines[:45]), "")
    assert "\\begin{longtable}{lr}" in latex(Table("t", ("a", "b"), lines), "")


def test_a_study_without_results_has_the_usual_columns(tmp_path: Path):
    write_tidy([make_cell(None)], tmp_path / "tidy.parquet")
    table = pq.read_table(tmp_path / "tidy.parquet")
    assert table.num_rows == 0
    assert set(table.column_names) < set(next(tidy(CELLS)))


def test_a_column_that_says_done_of_every_line_is_left_out_of_a_paper():
    done = Table("t", ("variant", "exact match", "cells"), (("a", "1.00", "done"), ("b", "2.00", "done")))
    assert "cells" not in latex(done, "")
    assert "\\begin{tabular}{lr}" in latex(done, "")
    open_ = replace(done, lines=(("a", "1.00", "done"), ("b", "2.00", "1 failed")))
    assert "1 failed" in latex(open_, "")
    assert "\\begin{tabular}{lrr}" in latex(open_, "")
    assert "cells" in markdown(done), "the text forms say it"


def test_a_table_of_a_paper_has_a_label_where_it_has_a_name():
    table = Table("t", ("a", "b"), (("x", "1"),))
    assert "\\caption{Main} \\label{tab:main}" in latex(table, "Main", "main")
    assert "label" not in latex(table, "Main")


def test_labels_of_two_studies_differ_and_are_such_as_latex_takes(tmp_path: Path):
    table = Table("t", ("a", "b"), (("x", "1"),))
    for study, label in (("first", "tab:first-main"), ("a %{b}#é", "tab:a-b-main"), ("", "tab:main")):
        write_table(table, tmp_path / "main", "Main", study=study)
        assert f"\\label{{{label}}}" in (tmp_path / "main.tex").read_text()


def test_odd_values_of_studies_made_elsewhere_are_written(tmp_path: Path):
    cells = [make_cell(50.0, **{"trainer.epochs": 1}), make_cell(50.0, **{"trainer.epochs": "\ud800"})]
    write_tidy([replace(one, name="a\udcff") for one in cells], tmp_path / "tidy.parquet")
    table = pq.read_table(tmp_path / "tidy.parquet").to_pydict()
    assert set(table["cell"]) == {"a\\udcff"}
    assert set(table["trainer.epochs"]) == {"1", "\\ud800"}


def test_what_is_left_out() -> None:
    assert left_out(Table) == {"labels": 1}
