"""The launchers' files stand for themselves: nodes that plugins registered under their names are dropped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.config_store import ConfigStore

from hydra_plugins.instruct_ablate_search_path import OwnLaunchers
from instruct_ablate.configuration.folders import config_directory

FILES = sorted(path.name for path in (config_directory() / "hydra" / "launcher").glob("*.yaml"))


@pytest.fixture
def registered() -> Iterator[dict[str, object]]:
    """Hydra's launcher nodes, as they were afterwards."""
    nodes = ConfigStore.instance().repo.setdefault("hydra", {}).setdefault("launcher", {})
    before = dict(nodes)
    yield nodes
    nodes.clear()
    nodes.update(before)


def test_ours_are_dropped_and_others_stay(registered: dict[str, object]) -> None:
    registered.update(dict.fromkeys(("joblib.yaml", "submitit_slurm.yaml", "basic.yaml"), "a node"))
    path = ConfigSearchPathImpl()
    OwnLaunchers().manipulate_search_path(path)
    assert not set(FILES) & set(registered)
    assert registered["basic.yaml"] == "a node"
    assert path.get_path() == []


def test_asked_again_it_does_no_harm(registered: dict[str, object]) -> None:
    for _ in range(2):
        OwnLaunchers().manipulate_search_path(ConfigSearchPathImpl())
    assert not set(FILES) & set(registered)


def test_every_launcher_of_the_project_has_a_file() -> None:
    assert FILES == [
        "fused.yaml",
        "joblib.yaml",
        "local_pool.yaml",
        "ray.yaml",
        "submitit_local.yaml",
        "submitit_slurm.yaml",
    ]
