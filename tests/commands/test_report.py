from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError
from tests.report.studies import small_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_study(tmp_path_factory.mktemp("multirun") / "s")


def report(*words: str) -> Result:
    return CliRunner().invoke(group, ["report", *words], env={"COLUMNS": "160"})


def test_it_writes_prints_and_says_where(study: Path) -> None:
    told = report(str(study))
    assert told.exit_code == 0, told.output
    assert "simplified" in told.output
    assert "simplified equals original on exact_match within 5 points" in told.output
    assert f"Tables, figures and page: {study / 'report'}" in told.output.replace("\n", "")
    assert (study / "report" / "index.html").is_file()


def test_another_folder(study: Path, tmp_path: Path) -> None:
    assert report(str(study), "--output", str(tmp_path / "elsewhere")).exit_code == 0
    assert (tmp_path / "elsewhere" / "main.csv").is_file()


def test_no_such_study(tmp_path: Path) -> None:
    result = report(str(tmp_path / "none"))
    assert isinstance(result.exception, UserError)
    assert "no study at" in str(result.exception)


def test_a_hypothesis_given_to_the_report_alone_was_stated_after_its_cells(
    study: Path, tmp_path: Path
) -> None:
    claim = "simplified equals original on rougeL within 3"
    told = report(str(study), "--hypothesis", claim, "--output", str(tmp_path / "r")).output
    assert "stated after 10 cells: given to this report alone" in told.split(claim)[1]
    assert "alone" in (tmp_path / "r" / "verdicts.txt").read_text()
    assert "alone" not in report(str(study), "--output", str(tmp_path / "r")).output
    wrong = report(str(study), "--hypothesis", "simplified resembles original")
    assert isinstance(wrong.exception, UserError)


def test_a_study_that_may_not_be_written_to_is_reported_elsewhere(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: "choose another folder with output=PATH", which is no word of this command."""
    before = os.access

    def access(path: Path, mode: int, **more: bool) -> bool:
        denied = mode & os.W_OK and study in (Path(path), Path(path).parent)
        return not denied and before(path, mode, **more)

    monkeypatch.setattr(os, "access", access)
    refused = report(str(study))
    assert isinstance(refused.exception, UserError)
    assert str(refused.exception) == (
        f"cannot write {study / 'report'}: no permission to write there; choose another folder with --output=PATH"
    )
    assert report(str(study), f"--output={tmp_path / 'elsewhere'}").exit_code == 0
