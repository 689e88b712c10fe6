"""The report: every file is there, at any state of the grid; two studies compare."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from instruct_ablate.commands.compare import command as compare_command
from instruct_ablate.commands.report import command as report_command
from instruct_ablate.report.compare import compare_studies
from instruct_ablate.report.report import write_report
from tests.report.cells import make_cell
from tests.report.studies import small_study, write_study

FILES = ("main.md", "main.csv", "main.tex", "differences.md", "categories.csv", "tasks.tex", "tidy.parquet",
         "verdicts.txt", "provenance.json", "index.html")  # fmt: skip


def test_every_file_is_written(tmp_path: Path):
    report = write_report(small_study(tmp_path / "s"))
    assert [name for name in FILES if not (report.folder / name).is_file()] == []
    assert [verdict.answer for verdict in report.verdicts] == ["undecided", "undecided"]
    assert "1 missing" in (report.folder / "main.md").read_text()
    assert "failed" in (report.folder / "index.html").read_text()


def test_a_study_without_a_finished_cell_gives_a_report_too(tmp_path: Path):
    report = write_report(write_study(tmp_path / "s", [make_cell(None)], ("a equals b on rougeL within 1",)))
    assert (report.folder / "verdicts.txt").read_text() == "- no data: a equals b on rougeL within 1\n"


def test_the_same_disk_gives_the_same_files(tmp_path: Path):
    folder = small_study(tmp_path / "s")
    one, other = write_report(folder, tmp_path / "a"), write_report(folder, tmp_path / "b")
    for name in FILES:
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes(), name


def test_command_prints_table_and_verdicts(tmp_path: Path):
    done = CliRunner().invoke(report_command, [str(small_study(tmp_path / "s"))])
    assert done.exit_code == 0, done.output
    assert "trained on" in done.output
    assert "? undecided: simplified equals original" in done.output


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
