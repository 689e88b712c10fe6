"""Launchers of our own: they are handed composed cells instead of overrides, and leave their word on disk."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from instruct_ablate.errors import UserError

if TYPE_CHECKING:
    from instruct_ablate.grid.planned_cell import Cell


class CellLauncher(Launcher):
    """Runs cells; what became of them stands in their records, nothing is returned."""

    can_detach = False  # whether its jobs outlive the command that started them

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra hands over."""
        self.context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
        """Refuse to be called by another sweeper: cells are checked and told apart by ours."""
        raise UserError(
            "this launcher takes the cells of grids (hydra/sweeper=ablation); for a search leave hydra/launcher out, "
            "or give joblib"
        )

    @abstractmethod
    def run(self, cells: Sequence[Cell]) -> None:
        """Run the cells, in this order as far as there is room."""
