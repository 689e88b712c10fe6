"""The Ray launcher against a local cluster that the sweep starts; run by `tests/ray/run.sh`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.grid.small import GRID, outcome, sweep
from tests.grid.stopped import check_interrupted, run_whole

pytestmark = pytest.mark.ray
RAY = (
    "hydra/launcher=ray",
    "+hydra.launcher.ray.init.num_cpus=2",
    "+hydra.launcher.ray.init.include_dashboard=false",  # two processes less
)


def test_a_grid_on_ray_is_the_grid_of_the_basic_launcher(tmp_path: Path) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed here (tests/ray/run.sh has an environment for it)")
    first = sweep(tmp_path, *GRID, *RAY)
    assert first.returncode == 0, first.stdout + first.stderr
    assert sweep(tmp_path, *GRID, "study=basic").returncode == 0
    assert outcome(tmp_path) == outcome(tmp_path, "basic")
    again = sweep(tmp_path, *GRID, *RAY)
    assert "3 done and skipped, 0 to run" in again.stdout


def test_a_study_that_stops_when_it_is_decided_on_ray_is_that_of_the_basic_launcher(tmp_path: Path) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed here (tests/ray/run.sh has an environment for it)")
    (tmp_path / "whole").mkdir()
    (tmp_path / "ray").mkdir()
    run_whole(tmp_path / "whole")
    check_interrupted(tmp_path / "ray", tmp_path / "whole", *RAY)
