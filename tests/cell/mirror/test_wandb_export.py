"""An exported model in its cell's W&B run, online or offline like the cell itself."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from instruct_ablate.cell.mirror import wandb_export
from instruct_ablate.cell.mirror.wandb_export import lacks_run, log_exported, tell_again
from instruct_ablate.cell.mirror.wandb_run import run_id
from instruct_ablate.schema import Config, LoggerConfig
from tests.cell.mirror.runs import Run, opened_by
from tests.report.cells import make_cell
from tests.report.studies import write_study


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small folder as `export` writes it, in the home of a user without a key."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "wandb_data"))
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_it_goes_on_in_the_run_of_its_cell(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = opened_by(wandb_export, monkeypatch)
    record = make_cell(50.0)
    name = log_exported(tmp_path, record, exported, LoggerConfig("wandb", project="mine", entity="us"))
    (run,) = opened
    given = (run.given["id"], run.given["project"], run.given["entity"], run.given["mode"], run.given["dir"])
    assert given == (name, "mine", "us", "offline", tmp_path)
    (artifact,) = run.artifacts
    assert (artifact.name, artifact.type) == (f"model-{name}", "model")
    assert artifact.metadata == {"cell": record.name, "identity": record.identity, "seed": 0}
    assert set(artifact.manifest.entries) == {"config.json", "model.safetensors"}
    assert run.exit_code == 0
    assert run.summary["exact_match"] == 50.0, "what is uploaded last is the summary that stays"


@pytest.fixture
def mirrored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[Run]]:
    """A done cell that was logged to W&B online, and the runs that are opened for it."""
    cell = make_cell(50.0)
    folder = write_study(tmp_path / "s", [cell]) / cell.name
    (folder / "wandb").mkdir()
    logger = LoggerConfig("wandb", project="mine", entity="us", mode="online", predictions=1)
    OmegaConf.save(OmegaConf.structured(replace(Config(), logger=logger)), folder / "config.yaml")
    opened = opened_by(wandb_export, monkeypatch)
    return folder, opened


def test_new_scores_wait_in_a_log_of_the_same_run(mirrored: tuple[Path, list[Run]]) -> None:
    folder, opened = mirrored
    record = make_cell(75.0)
    assert tell_again(folder, record)
    (run,) = opened
    given = (run.given["id"], run.given["project"], run.given["entity"], run.given["dir"])
    assert given == (run_id(record.identity), "mine", "us", folder)
    assert run.given["mode"] == "offline", "the study says where to, and no study may send anything"
    assert (run.summary["exact_match"], run.summary["eval/original/exact_match"]) == (75.0, 75.0)
    exact = {row[1]: row[-1] for row in run.logged["scores"].data if row[-2] == "exact_match"}
    assert exact["task_c"] == 75.0
    assert len(run.logged["predictions"].data) == 1
    assert run.exit_code == 0


@pytest.mark.parametrize("why", ["no run here", "another logger", "a link", "no configuration"])
def test_what_has_no_run_of_its_own_is_told_nothing(
    mirrored: tuple[Path, list[Run]], tmp_path: Path, why: str
) -> None:
    """A cell that was taken over has its run in another study, an imported one has none."""
    folder, opened = mirrored
    if why in ("no run here", "a link"):
        (folder / "wandb").rmdir()
    if why == "a link":
        (folder / "wandb").symlink_to(tmp_path)
    if why == "another logger":
        OmegaConf.save({"logger": {"name": "csv"}}, folder / "config.yaml")
    if why == "no configuration":
        (folder / "config.yaml").unlink()
    assert not tell_again(folder, make_cell(75.0))
    assert opened == []


@pytest.mark.parametrize(
    ("now", "then", "logs", "lacks"),
    [
        ("wandb", "none", False, True),
        ("wandb", "csv", False, True),
        ("wandb", "wandb", True, False),
        ("wandb", "wandb", False, False),  # taken over, or its logs were removed
        ("none", "csv", False, False),
        ("wandb", None, False, False),
    ],
)
def test_a_cell_that_was_done_with_another_logger_lacks_a_run(
    tmp_path: Path, now: str, then: str | None, logs: bool, lacks: bool
) -> None:
    if then is not None:
        OmegaConf.save({"logger": {"name": then}}, tmp_path / "config.yaml")
    else:
        (tmp_path / "config.yaml").write_text("[")
    if logs:
        (tmp_path / "wandb").mkdir()
    assert lacks_run(LoggerConfig(now), tmp_path) is lacks


@pytest.mark.slow
def test_offline_it_is_written_to_be_uploaded_later(exported: Path, tmp_path: Path) -> None:
    cell = tmp_path / "cell"
    cell.mkdir()
    log_exported(cell, make_cell(50.0), exported, LoggerConfig("wandb"))
    (log,) = cell.glob("wandb/offline-run-*/*.wandb")
    limit = time.monotonic() + 300  # wandb's own process may write its last block after `finish` has returned
    while b"model.safetensors" not in log.read_bytes() and time.monotonic() < limit:
        time.sleep(0.1)
    assert b"model.safetensors" in log.read_bytes()
