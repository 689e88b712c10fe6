from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.grid.launch.hand_over import launch


def cell(**config: bool) -> Any:
    return SimpleNamespace(
        config=SimpleNamespace(**{"detach": False, "raise_faults": False, **config}), overrides=("seed=1",)
    )


class Foreign:
    """A launcher of another package, which takes overrides."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error, self.given = error, list[list[str]]()

    def launch(self, overrides: list[list[str]], initial_job_idx: int) -> None:
        self.given += overrides
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("error", [None, RuntimeError("a worker was killed"), SystemExit(1)])
def test_the_disk_is_asked_and_not_the_launcher(error: BaseException | None) -> None:
    launcher = Foreign(error)
    launch(launcher, [cell()], [])
    assert launcher.given == [["seed=1"]]


def test_a_launcher_that_ends_with_the_command_cannot_be_left() -> None:
    with pytest.raises(UserError, match=r"detach=true.*hydra/launcher=submitit_slurm"):
        launch(Foreign(), [cell(detach=True)], [])
