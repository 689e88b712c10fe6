from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.model.training.settings import check_trainer
from instruct_ablate.processes import RANKS
from tests.model.fits import changed, make_config


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for names in RANKS for name in names]:
        monkeypatch.delenv(name, raising=False)


def test_one_device_needs_no_launcher(tmp_path: Path) -> None:
    check_trainer(make_config(tmp_path))
    check_trainer(make_config(tmp_path, strategy="ddp"))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"strategy": "dpp"}, "did you mean 'ddp'"),
        ({"devices": 0}, "must be at least 1"),
        ({"num_nodes": 0}, "must be at least 1"),
        ({"checkpoint_every_steps": 0}, "checkpoint_every_steps"),
        ({"optimizer": "sgd"}, "optimizer"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=told):
        check_trainer(make_config(tmp_path, **settings))


def test_method_is_checked_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="method"):
        check_trainer(changed(make_config(tmp_path), method={"name": "ful"}))


def test_lightning_must_not_start_the_script_again(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="torchrun --nproc-per-node"):
        check_trainer(make_config(tmp_path, devices=2, strategy="ddp"))


@pytest.mark.parametrize(("rank", "total"), RANKS)
def test_launchers_that_start_every_process(
    rank: str, total: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(rank, "0")
    monkeypatch.setenv(total, "2")
    check_trainer(make_config(tmp_path, devices=2))
    check_trainer(make_config(tmp_path, devices=1, num_nodes=2))
    with pytest.raises(UserError, match="2 processes were started"):
        check_trainer(make_config(tmp_path, devices=4))
    with pytest.raises(UserError, match="2 processes were started"):
        check_trainer(make_config(tmp_path))


def test_a_slurm_job_of_one_task_is_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_NTASKS", "1")
    check_trainer(make_config(tmp_path))
    with pytest.raises(UserError, match="tasks_per_node"):
        check_trainer(make_config(tmp_path, devices=2))
