"""Tables: what is written can be read back, and pasted."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import fmean, stdev

import pyarrow.parquet as pq
import pytest

from instruct_ablate.cell.state.record.record import GENERAL, BlockKey, CellRecord, ScoreBlock
from instruct_ablate.metrics import registry
from instruct_ablate.report.report import write_report
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.report.tables.tables import (
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
from instruct_ablate.scores import MetricDescription
from instruct_ablate.tasks.sampling.budget import ALL
from tests.left_out import left_out
from tests.report.cells import make_cell, make_scores
from tests.report.rows.test_columns import with_own
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


TEMPLATES = ("plain", "set_12/bars")
Place = tuple[str, int, int, str]  # variant, budget, seed, what it was tested as
GRID: list[Place] = list(
    product(("original", "simplified"), (ALL, 2), (7, 3), ("simplified", "no_examples", "original"))
)
EXACT = {where: 3.25 * at % 89 for at, where in enumerate(product(GRID, TEMPLATES))}


def crossed() -> list[CellRecord]:
    """Every cell is tested as three variants under two templates; one failed after its tests."""

    def scored(tested: str, template: str, exact: float) -> ScoreBlock:
        scores, key = make_scores(exact, rouge=exact / 2), BlockKey(tested, template)
        turned = replace(scores, tasks=scores.tasks[::-1], categories=scores.categories[::-1])
        return ScoreBlock(tested, "x.jsonl", turned, key=key)

    cells = []
    for variant, budget, seed in dict.fromkeys(where[:3] for where in GRID):
        cell = make_cell(0.0, seed=seed, instruction=variant, data_budget=budget)
        own = [(where, template) for where, template in EXACT if where[:3] == (variant, budget, seed)]
        blocks = tuple(scored(where[3], template, EXACT[where, template]) for where, template in own)
        cells.append(replace(cell, blocks=blocks, general=scored(GENERAL, "plain", 99.0)))
    return [*cells, replace(cells[0], state="failed", seed=1)]


def as_read(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(comma_separated(table))))


@pytest.mark.parametrize("by", ["category", "task"])
def test_numbers_by_group_are_means_over_templates_of_what_their_line_says(by: str):
    expected = []
    for variant, budget, seed, tested in GRID:
        exact = fmean(EXACT[(variant, budget, seed, tested), template] for template in TEMPLATES)
        where = [variant, "all" if budget == ALL else str(budget), str(seed), tested]
        expected.append([*where, "Logic", "task_c", "100", f"{exact:.2f}", f"{exact:.2f}", "90.00"])
        expected.append([*where, "Rewriting", "task_g", "100", "0.00", f"{exact / 2:.2f}", "-"])
    headings = ["trained on", "budget", "seed", "tested on", "category", "task", "instances"]
    headings += ["exact match", "ROUGE-L", "format correct"]
    found = [[line.get(one) for one in headings] for line in as_read(group_table(crossed(), by))]
    if by == "category":
        expected = [[*line[:5], None, *line[6:]] for line in expected]
    assert sorted(found, key=str) == sorted(expected, key=str)


def test_tidy_numbers_are_those_of_every_test_and_template():
    found = [
        (
            ((row["instruction"], row["data_budget"], row["seed"], row["tested_on"]), row["template"]),
            (row["category"], row["kind"], row["task"], row["exact_match"], row["rougeL"]),
        )
        for row in tidy(crossed())
    ]
    expected = [
        (((variant, "all" if budget == ALL else budget, seed, tested), template), own)
        for ((variant, budget, seed, tested), template), exact in EXACT.items()
        for own in (
            ("Logic", "classification", "task_c", exact, exact),
            ("Rewriting", "generation", "task_g", 0.0, exact / 2),
        )
    ]
    assert sorted(found, key=str) == sorted(expected, key=str)


def test_the_main_tables_numbers_stand_under_their_headings():
    """One setting lacks a seed, and is held against the reference's same seed alone."""
    usual = [
        replace(
            one, general=None, blocks=tuple(b for b in one.blocks if b.instruction == one.setting.instruction)
        )
        for one in crossed()
        if (one.setting.instruction, one.setting.budget, one.seed) != ("simplified", 2, 3)
    ]
    table = main_table(build_rows([*usual, make_cell(4.0, data_budget=0)]), "original")
    lines = {(line["trained on"], line["budget"]): line for line in as_read(table)}
    assert len(lines) == len(table.lines) == 5

    def exact(variant: str, budget: int, seed: int) -> float:
        return fmean(EXACT[(variant, budget, seed, variant), template] for template in TEMPLATES)

    def written(values: list[float], sign: str = "") -> str:
        mean = f"{fmean(values):{sign}.2f}"
        return f"{mean} ± {stdev(values):.2f}" if len(values) > 1 else mean

    for variant, budget in product(("original", "simplified"), (ALL, 2)):
        line = lines[variant, "all" if budget == ALL else "2"]
        seeds = (7,) if (variant, budget) == ("simplified", 2) else (3, 7)
        own = [exact(variant, budget, seed) for seed in seeds]
        assert line["exact match"] == written(own)
        assert line["ROUGE-L (gen.)"] == written([one / 2 for one in own])
        assert line["ROUGE-L (all)"] == written([0.75 * one for one in own])
        assert (line["format correct"], line["uniform guess"]) == (written([90.0 for _ in own]), "50.00")
        differing = [exact(variant, budget, seed) - exact("original", budget, seed) for seed in seeds]
        assert line["to original"] == ("-" if variant == "original" else written(differing, "+"))
        assert line["to untuned"] == written([one - 4.0 for one in own], "+")
    assert [lines[name, "2"]["cells"] for name in ("original", "simplified")] == ["done", "done (1 seed)"]
    assert lines["original", "all"]["cells"] == "1 failed"
    assert lines["(untuned)", "-"]["exact match"] == "4.00"


def test_bold_is_the_best_of_its_own_column_and_direction(monkeypatch: pytest.MonkeyPatch):
    cells = [
        make_cell(exact, instruction=name)
        for name, exact in (("original", 30.0), ("simplified", 50.0), ("delusive", 10.0), ("shuffled", 20.0))
    ]
    words = MetricDescription("bold_words", "words", unit="words", higher_is_better=False, range=None)
    monkeypatch.setitem(registry._DESCRIBED, words.name, words)
    cells = [with_own(cell, value, words) for cell, value in zip(cells, (7.0, 5.0, 6.0, 4.0), strict=True)]
    table = main_table(build_rows(cells), "original")
    bold = {
        (line[0], heading.strip())
        for line in (row.split(" & ") for row in latex(table, "").splitlines() if " & " in row)
        for heading, cell in zip(table.headings, line, strict=False)
        if "textbf" in cell
    }
    assert bold == {
        ("simplified", "exact match"),
        ("simplified", "ROUGE-L (all)"),
        ("shuffled", "words (all)"),
    }


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


def test_values_that_are_equal_and_not_the_same_stay_what_they_are() -> None:
    cells = [make_cell(50.0, **{"trainer.epochs": value}) for value in (1, 1.0, True)]
    assert [repr(row["trainer.epochs"]) for row in tidy(cells)][::2] == ["1", "1.0", "True"]


def test_contents_of_one_name_are_told_apart_in_tidy_rows(tmp_path: Path):
    cells = [make_cell(50.0, revisions={"tasks": content}) for content in ("a1", "b2")]
    write_tidy(cells, tmp_path / "tidy.parquet")
    rows = pq.read_table(tmp_path / "tidy.parquet").to_pylist()
    assert [row["tasks@"] for row in rows] == ["a1", "a1", "b2", "b2"]


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


def test_control_characters_are_shown_in_every_text_form() -> None:
    """Before: LaTeX did not compile, and files that are looked at in a terminal steered it."""
    table = Table("t", ("model\x9b",), (("\x1b[2Jred\r",), ("=\x07",)))
    for text in (markdown(table), comma_separated(table), latex(table, "a \0 \x1b")):
        assert not set("\x1b\x07\x9b\r\0") & set(text)
        assert "x1b" in text
        assert r"$\pm$" not in text
    assert comma_separated(table).splitlines() == [r"model\x9b", r"\x1b[2Jred\r", r"'=\x07"]


def compiled(folder: Path, bodies: Sequence[str]) -> bytes:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not here")
    packages = "\\usepackage{booktabs,graphicx,longtable}"
    document = "\n".join(
        ["\\documentclass{article}", packages, "\\begin{document}", *bodies, "\\end{document}"]
    )
    (folder / "t.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stdout[-2000:]
    return (folder / "t.pdf").read_bytes()


@pytest.mark.slow
def test_every_latex_table_of_a_report_compiles(tmp_path: Path):
    hostile = make_cell(47.0, instruction="50%_of&#1~^{x}<任>\\|$\x1b[2J", seed=1)
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


def test_machines_read_numbers_of_their_own_and_people_theirs(tmp_path: Path):
    table, machines = (
        Table("t", ("a", "b"), (("x", "1 ± 2"),)),
        Table("t", ("a", "b", "low"), (("x", "1", "0"),)),
    )
    write_table(table, tmp_path / "main", "Main", machines)
    assert (tmp_path / "main.csv").read_text() == "a,b,low\nx,1,0\n"
    assert "| x | 1 ± 2 |" in (tmp_path / "main.md").read_text()
    assert r"x & 1 $\pm$ 2 \\" in (tmp_path / "main.tex").read_text()


def test_odd_values_of_studies_made_elsewhere_are_written(tmp_path: Path):
    cells = [make_cell(50.0, **{"trainer.epochs": value}) for value in (1, "\ud800", None)]
    write_tidy([replace(one, name="a\udcff") for one in cells], tmp_path / "tidy.parquet")
    table = pq.read_table(tmp_path / "tidy.parquet").to_pydict()
    assert set(table["cell"]) == {"a\\udcff"}
    assert table["trainer.epochs"] == ["1", "1", "\\ud800", "\\ud800", None, None]


def test_what_is_left_out() -> None:
    assert left_out(Table) == {"labels": 1}
