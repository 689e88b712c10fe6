from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from instruct_ablate.cell.mirror import offline_runs
from instruct_ablate.cell.state.store import write_record
from instruct_ablate.command_line import group
from instruct_ablate.commands.sync import _summarise
from instruct_ablate.errors import UserError
from instruct_ablate.schema import LoggerConfig
from tests.cell.mirror.test_offline_runs import log_of, mark
from tests.report.cells import make_cell


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    for name in ("one", "two"):
        log_of(tmp_path / "s", name)
        write_record(tmp_path / "s" / name, make_cell(50.0))
    return tmp_path / "s"


def run(*words: object) -> Result:
    return CliRunner().invoke(group, ["sync", *map(str, words)])


def test_without_a_key_it_says_what_to_do(study: Path) -> None:
    result = run(study)
    assert isinstance(result.exception, UserError)
    assert "wandb login" in str(result.exception)


def test_a_dry_run_names_the_logs_and_needs_no_key(study: Path) -> None:
    result = run(study, "--dry-run")
    assert result.exit_code == 0
    assert "2 offline logs: 0 uploaded before, 2 to upload" in result.output
    assert "run-one.wandb" in result.output


def test_it_says_what_went_up_and_what_is_left(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def upload(logs: Sequence[Path], workers: int) -> str:
        mark(logs[0])
        return "quota used up"

    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setattr(offline_runs, "wandb_sync", upload)
    monkeypatch.setattr(offline_runs, "ATTEMPTS", 1)
    result = run(study)
    assert result.exit_code == 1
    assert "1 uploaded, 1 left\n  two: quota used up" in result.output
    assert run(study).output.startswith("2 offline logs: 1 uploaded before, 1 to upload")


def test_no_study_is_told_with_the_nearest_one(study: Path) -> None:
    assert "no study at" in str(run(study / "nowhere").exception)
    assert "; did you mean 'one'? Give the folder" in str(run(study / "ona").exception)


@pytest.mark.parametrize(("number", "taken"), [("0", False), ("1", True), ("64", True), ("65", False)])
def test_so_many_runs_at_a_time(study: Path, number: str, taken: bool) -> None:
    assert (run(study, "--dry-run", "--workers", number).exit_code == 0) is taken


def test_four_at_a_time_with_the_reports_run_unless_told_otherwise(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    summarised, at_once = [], []

    def upload(logs: Sequence[Path], workers: int) -> str:
        at_once.append(workers)
        for log in logs:
            mark(log)
        return ""

    monkeypatch.setattr(offline_runs, "wandb_sync", upload)
    monkeypatch.setattr("instruct_ablate.commands.sync._summarise", summarised.append)
    assert run(study).exit_code == 0
    assert (summarised, at_once) == ([study], [4])
    for log in study.glob("*/wandb/*/*.synced"):
        log.unlink()
    assert run(study, "--no-summary", "--workers", "2").exit_code == 0
    assert (summarised, at_once) == ([study], [4, 2])
    assert run(study).output == "2 offline logs: 2 uploaded before, 0 to upload\n"


def test_the_reports_run_is_logged_offline_and_its_failure_is_only_said(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger, logged = LoggerConfig("wandb", mode="online"), []

    def log_summary(report: str, config: LoggerConfig) -> None:
        logged.append((report, config.mode))
        raise OSError("no room")

    monkeypatch.setattr(
        "instruct_ablate.report.report.write_report", lambda folder: f"report of {folder.name}"
    )
    monkeypatch.setattr("instruct_ablate.report.dashboards.wandb_summary.mirrored", lambda folder: logger)
    monkeypatch.setattr("instruct_ablate.report.dashboards.wandb_summary.log_summary", log_summary)
    _summarise(study)
    assert logged == [("report of s", "offline")]
    monkeypatch.setattr("instruct_ablate.report.dashboards.wandb_summary.mirrored", lambda folder: None)
    _summarise(study)
    assert len(logged) == 1


def test_a_cell_that_is_not_finished_is_left_without_a_fault(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    log_of(study, "three")
    write_record(study / "three", replace(make_cell(None), state="interrupted"))
    monkeypatch.setattr(offline_runs, "wandb_sync", lambda logs, workers: [mark(log) for log in logs] and "")
    result = run(study, "--no-summary")
    assert result.exit_code == 0
    assert result.output.endswith("2 uploaded, 1 left\n  three: its cell is interrupted\n")
