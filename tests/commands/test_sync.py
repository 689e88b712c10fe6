from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from instruct_ablate.cell.mirror import offline_runs
from instruct_ablate.cell.state.store import write_record
from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError
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


def test_no_study_is_told(tmp_path: Path) -> None:
    assert "no study at" in str(run(tmp_path / "nowhere").exception)
