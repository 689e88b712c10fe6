"""The report: every file is there, at any state of the grid; two studies compare."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from pyarrow import parquet

from instruct_ablate.cell.state.record.record import CellRecord, Failure
from instruct_ablate.commands.compare import command as compare_command
from instruct_ablate.commands.report import command as report_command
from instruct_ablate.errors import UserError
from instruct_ablate.grid.declaration import read_declaration, write_declaration
from instruct_ablate.report.compare import compare_studies
from instruct_ablate.report.report import write_report
from tests.report.cells import make_cell
from tests.report.studies import small_study, write_study

FILES = ("main.md", "main.csv", "main.tex", "differences.md", "categories.csv", "tasks.tex", "tidy.parquet",
         "verdicts.txt", "provenance.json", "index.html")  # fmt: skip


def test_every_file_is_written(tmp_path: Path):
    report = write_report(small_study(tmp_path / "s"))
    assert report.folder == tmp_path / "s" / "report"
    categories, tasks = (
        (report.folder / f"{name}.csv").read_text().splitlines()[0].split(",")
        for name in ("categories", "tasks")
    )
    assert "task" not in categories
    assert tasks[tasks.index("task") - 1] == "category"
    assert [name for name in FILES if not (report.folder / name).is_file()] == []
    assert [verdict.answer for verdict in report.verdicts] == ["uninformative", "undecided"]
    assert "1 missing" in (report.folder / "main.md").read_text()
    assert "failed" in (report.folder / "index.html").read_text()
    for name in ("differences.tex", "index.html"):  # one text, whoever prints the table
        assert "Holm-corrected over this table (" in (report.folder / name).read_text()
    for name in ("main.tex", "index.html"):
        assert "percentages averaged per task, of " in (report.folder / name).read_text()


def test_a_study_without_a_finished_cell_gives_a_report_too(tmp_path: Path):
    report = write_report(write_study(tmp_path / "s", [make_cell(None)], ("a equals b on rougeL within 1",)))
    assert (report.folder / "verdicts.txt").read_text() == (
        "- no data: a equals b on rougeL within 1\n"
        "    when it was stated is not recorded\n    nothing is done yet\n"
    )


def test_the_guide_names_the_files_that_are_there(tmp_path: Path):
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    named = {
        name
        for line in page.splitlines()
        if line.startswith("| `") and not line.startswith("| `--")
        for name in NAME.findall(line.split("|")[1])
    }
    written = {path.name for path in write_report(small_study(tmp_path / "s")).folder.iterdir()}
    others = {f"{name}{end}" for name in ("categories", "tasks") for end in (".md", ".tex")}
    assert named | others == written


NAME = re.compile(r"`([^`]+)`")


def one_task(cell: CellRecord, place: int) -> CellRecord:
    """The cell with one of its two tasks."""
    (block,), part = cell.blocks, slice(place, place + 1)
    scores = block.scores
    kept = replace(
        scores, tasks=scores.tasks[part], kinds=scores.kinds[part], categories=scores.categories[part]
    )
    return replace(cell, blocks=(replace(block, scores=kept),))


PAIR = [make_cell(80.0), make_cell(79.0, instruction="simplified")]
SEEDS = [(seed, name) for seed in (0, 1) for name in ("original", "simplified")]
FAILED = replace(make_cell(None), state="failed", failure=Failure("it <b>broke</b>", "trace"))
STUDIES = {
    "one seed": (PAIR, "? undecided"),
    "one classification task": ([one_task(cell, 0) for cell in PAIR], "one test task cannot decide it"),
    "one generation task": ([one_task(cell, 1) for cell in PAIR], "- no data"),
    "all ties": ([make_cell(50.0, seed=s, instruction=i) for s, i in SEEDS], "+0.00 points"),
    "all zeros": ([make_cell(0.0, seed=s, instruction=i) for s, i in SEEDS], "+0.00 points"),
    "only failed cells": ([FAILED], "- no data"),
    "a running cell": ([PAIR[0], replace(make_cell(None, seed=1), state="running")], "- no data"),
    "the untuned model alone": ([make_cell(5.0, data_budget=0)], "- no data"),
    "imported answers": (
        [make_cell(40.0, data_budget=0, method="imported", model="api"), *PAIR],
        "? undecided",
    ),
    "an empty folder": ([], ""),
}


@pytest.mark.parametrize("name", STUDIES)
def test_any_study_gives_an_answer_without_a_crash_or_a_nan(tmp_path: Path, name: str):
    cells, expected = STUDIES[name]
    (tmp_path / "s").mkdir()
    claims = ("simplified equals original on exact_match within 2 points",) if cells else ()
    report = write_report(write_study(tmp_path / "s", cells, claims))
    assert expected in (report.folder / "verdicts.txt").read_text()
    for path in report.folder.glob("*.*"):
        if path.suffix in (".md", ".csv", ".tex", ".txt", ".json"):
            assert re.search(r"\b(nan|NaN|inf|Infinity)\b", path.read_text()) is None, path
    rows = parquet.read_table(report.folder / "tidy.parquet").to_pylist()
    assert {row["cell"] for row in rows} == {cell.name for cell in cells if cell.state == "done"}
    page = report.page.read_text(encoding="utf-8")
    assert "<b>broke" not in page
    assert " nan" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_the_same_disk_gives_the_same_files(tmp_path: Path):
    folder = small_study(tmp_path / "s")
    one, other = write_report(folder, tmp_path / "a"), write_report(folder, tmp_path / "b")
    for name in FILES:
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes(), name


def test_command_prints_table_and_verdicts(tmp_path: Path):
    done = CliRunner().invoke(report_command, [str(small_study(tmp_path / "s"))])
    assert done.exit_code == 0, done.output
    first = done.output.splitlines()[0]
    assert first.startswith("~ whether simplified is equal to original within 5 points")
    assert "cannot be told here" in first, "the reason follows"
    assert "trained on" in done.output
    assert "~ uninformative: simplified equals original" in done.output


def test_two_studies_compare(tmp_path: Path):
    one = write_study(tmp_path / "a", [make_cell(50.0), make_cell(40.0, instruction="simplified")])
    other = write_study(tmp_path / "b", [make_cell(53.0)])
    table, told = compare_studies(one, other)
    exact = next(line for line in table.lines if line[4] == "exact_match")
    assert exact[5] == "+3.00"
    assert any("only in" in line and "simplified" in line for line in told)
    done = CliRunner().invoke(compare_command, [str(one), str(other)])
    assert "+3.00" in done.output


def test_no_torch_and_quickly_started():
    code = "import sys, instruct_ablate.report.report; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_hypothesis_that_cannot_be_read_says_so_and_the_rest_of_the_report_stands(tmp_path: Path):
    good, bad = "simplified equals original on exact_match within 2", "simplified equals original on nothing"
    folder = small_study(tmp_path / "s")
    declaration = read_declaration(folder)
    write_declaration(folder, replace(declaration, hypotheses=(bad, good)))
    report = write_report(folder)
    assert [verdict.answer for verdict in report.verdicts] == ["no data", "uninformative"]
    said = (report.folder / "verdicts.txt").read_text()
    assert f"- no data: {bad}" in said
    assert "cannot be read: unknown metric" in said
    with pytest.raises(UserError, match="unknown metric"):
        write_report(folder, further=["simplified exceeds original on nothing"])
