"""`instruct-ablate compare`: a table of what both studies have, and lines on the rest."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from instruct_ablate.command_line import group
from tests.report.cells import make_cell
from tests.report.studies import write_study


def compare(*studies: Path) -> str:
    result = CliRunner().invoke(group, ["compare", *map(str, studies)])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_second_study_is_held_against_the_first(tmp_path: Path):
    one = write_study(tmp_path / "one", [make_cell(50.0)])
    other = write_study(tmp_path / "other", [make_cell(53.0)])
    told = compare(one, other)
    assert "| exact_match | +3.00 |" in told
    assert f"{one}: " in told
    assert "no setting in common" not in told


def test_without_a_common_setting_there_is_no_table(tmp_path: Path):
    one = write_study(tmp_path / "one", [make_cell(50.0)])
    other = write_study(tmp_path / "other", [make_cell(53.0, instruction="delusive")])
    told = compare(one, other)
    assert "The studies have no setting in common." in told
    assert "|" not in told
    assert f"only in {other}: " in told
