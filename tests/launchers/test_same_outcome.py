"""Every launcher of this machine gives what the basic one gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.grid.small import GRID, outcome, sweep
from tests.grid.stopped import check_interrupted, run_whole


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("basic")
    run = sweep(folder, *GRID)
    assert run.returncode == 0, run.stdout + run.stderr
    return outcome(folder)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(
            ("hydra/launcher=local_pool", "hydra.launcher.n=2", "hydra.launcher.cells_per_process=1"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("hydra/launcher=local_pool", "hydra.launcher.n=1"),
            marks=pytest.mark.slow,
            id="local_pool, warm",
        ),
        pytest.param(("hydra/launcher=fused",), marks=pytest.mark.slow, id="fused, full tuning in turn"),
        pytest.param(("hydra/launcher=submitit_local",), marks=pytest.mark.slow),
        pytest.param(("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"), marks=pytest.mark.joblib),
    ],
    ids=lambda words: words[0].partition("=")[2],
)
def test_the_same_grid_gives_the_same(
    tmp_path: Path, basic: dict[str, object], words: tuple[str, ...]
) -> None:
    run = sweep(tmp_path, *GRID, *words)
    assert run.returncode == 0, run.stdout + run.stderr
    assert outcome(tmp_path) == basic
    again = sweep(tmp_path, *GRID, *words)
    assert "3 done and skipped, 0 to run" in again.stdout


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    run_whole(folder)
    return folder


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("hydra/launcher=local_pool", "hydra.launcher.n=2"), marks=pytest.mark.slow),
        pytest.param(("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"), marks=pytest.mark.joblib),
    ],
    ids=lambda words: words[0].partition("=")[2],
)
def test_a_study_that_stops_when_it_is_decided_is_that_of_the_basic_launcher(
    tmp_path: Path, whole: Path, words: tuple[str, ...]
) -> None:
    check_interrupted(tmp_path, whole, *words)
