"""The plugin `local_pool`: its settings reach the pool."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from instruct_ablate.configuration.folders import config_directory
from instruct_ablate.grid.launch import local_pool
from instruct_ablate.grid.launch.local_pool import Share

CONFIG = config_directory() / "hydra" / "launcher" / "local_pool.yaml"


@dataclasses.dataclass
class Pool:
    """Stands in for the pool."""

    places: Sequence[Share]
    cells_per_process: int
    ran: list[Any] = dataclasses.field(default_factory=list)

    def run(self, cells: Sequence[Any]) -> None:
        self.ran.extend(cells)


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[Pool]:
    made: list[Pool] = []

    def make(places: Sequence[Share], cells_per_process: int) -> Pool:
        made.append(Pool(places, cells_per_process))
        return made[-1]

    monkeypatch.setattr(local_pool, "Pool", make)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return made


def test_by_default_a_warm_process_runs_all_it_comes_to(pools: list[Pool]) -> None:
    launcher = instantiate(OmegaConf.load(CONFIG))
    assert (
        type(launcher).__name__ == "LocalPoolLauncher"
    )  # Hydra loads plugins anew: the class itself may differ
    launcher.run(["a", "b"])
    (pool,) = pools
    assert (pool.cells_per_process, pool.ran) == (0, ["a", "b"])
    assert not launcher.can_detach


def test_what_is_set_reaches_the_pool(pools: list[Pool]) -> None:
    config = OmegaConf.merge(OmegaConf.load(CONFIG), {"n": 3, "threads": 2, "cells_per_process": 50})
    instantiate(config).run([])
    (pool,) = pools
    assert pool.places == [Share(None, 2)] * 3
    assert pool.cells_per_process == 50


def test_the_file_names_every_setting() -> None:
    named = set(OmegaConf.to_container(OmegaConf.load(CONFIG))) - {"_target_"}  # type: ignore[arg-type]
    assert named == {"n", "threads", "cells_per_process"}
