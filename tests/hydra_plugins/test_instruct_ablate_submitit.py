"""The plugins `submitit_slurm` and `submitit_local`: their settings reach the submission under the right names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from hydra_plugins.instruct_ablate_submitit import LocalLauncher, SlurmLauncher
from instruct_ablate.configuration.folders import config_directory
from instruct_ablate.grid.launch import slurm_jobs as submitted

FOLDER = config_directory() / "hydra" / "launcher"
COMMON = {"name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node"}


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Mapping[str, Any], Sequence[Any]]]:
    calls: list[tuple[str, Mapping[str, Any], Sequence[Any]]] = []
    monkeypatch.setattr(submitted, "run_submitted", lambda *words: calls.append(words))
    return calls


@pytest.mark.parametrize(("launcher", "cluster"), [(SlurmLauncher, "slurm"), (LocalLauncher, "local")])
def test_cells_and_settings_are_handed_on(
    queued: list[tuple[str, Mapping[str, Any], Sequence[Any]]], launcher: Any, cluster: str
) -> None:
    launcher(timeout_min=5, partition="gpu").run(["a", "b"])
    assert queued == [(cluster, {"timeout_min": 5, "partition": "gpu"}, ["a", "b"])]


def test_only_jobs_of_a_cluster_outlive_the_command() -> None:
    assert SlurmLauncher().can_detach
    assert not LocalLauncher().can_detach


@pytest.mark.parametrize(
    ("file", "launcher"), [("submitit_slurm", SlurmLauncher), ("submitit_local", LocalLauncher)]
)
def test_the_files_name_these_classes_and_what_submitit_knows(file: str, launcher: type) -> None:
    submitit = pytest.importorskip("submitit")
    node = OmegaConf.load(FOLDER / f"{file}.yaml")
    settings: Any = OmegaConf.to_container(node, resolve=False)
    assert get_class(settings["_target_"]).__name__ == launcher.__name__  # Hydra loads plugins anew
    executor = {"slurm": submitit.SlurmExecutor, "local": submitit.LocalExecutor}[file.partition("_")[2]]
    own = {"_target_", "submitit_folder", "max_num_timeout"}
    assert set(settings) - own <= COMMON | set(executor._valid_parameters())
