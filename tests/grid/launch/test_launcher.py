"""What our launchers have in common: they are given cells, and only by our sweeper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from omegaconf import OmegaConf

from instruct_ablate.errors import UserError
from instruct_ablate.grid.launch.launcher import CellLauncher


class Noting(CellLauncher):
    """Notes what it is given."""

    def run(self, cells: Sequence[Any]) -> None:
        self.cells = list(cells)


def test_it_keeps_what_hydra_hands_over() -> None:
    launcher, config, context = Noting(), OmegaConf.create({"a": 1}), object()
    launcher.setup(hydra_context=context, task_function=print, config=config)  # type: ignore[arg-type]
    assert (launcher.context, launcher.task_function, launcher.config) == (context, print, config)
    assert not launcher.can_detach


def test_overrides_are_refused() -> None:
    with pytest.raises(UserError, match="hydra/sweeper=ablation"):
        Noting().launch([["seed=1"]], 0)


def test_one_that_runs_nothing_is_none() -> None:
    with pytest.raises(TypeError, match="abstract"):
        CellLauncher()  # type: ignore[abstract]
