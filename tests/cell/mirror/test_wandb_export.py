"""An exported model in its cell's W&B run, online or offline like the cell itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.mirror import wandb_export
from instruct_ablate.cell.mirror.wandb_export import log_exported
from instruct_ablate.schema import LoggerConfig
from tests.cell.mirror.test_wandb_run import Run
from tests.report.cells import make_cell


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
    opened: list[Run] = []

    def open_run(settings: dict[str, Any], mode: str, timeout: float) -> Run:
        opened.append(Run(mode=mode, **settings))
        return opened[-1]

    monkeypatch.setattr(wandb_export, "open_run", open_run)
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


@pytest.mark.slow
def test_offline_it_is_written_to_be_uploaded_later(exported: Path, tmp_path: Path) -> None:
    cell = tmp_path / "cell"
    cell.mkdir()
    log_exported(cell, make_cell(50.0), exported, LoggerConfig("wandb"))
    (log,) = cell.glob("wandb/offline-run-*/*.wandb")
    limit = time.monotonic() + 60  # wandb's own process may write its last block after `finish` has returned
    while b"model.safetensors" not in log.read_bytes() and time.monotonic() < limit:
        time.sleep(0.1)
    assert b"model.safetensors" in log.read_bytes()
