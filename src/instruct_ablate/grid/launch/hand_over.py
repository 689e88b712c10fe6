"""Cells handed to the configured launcher, and waited for where an earlier command has queued them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.errors import UserError, with_kind
from instruct_ablate.grid.launch.in_turn import is_here, run_in_turn
from instruct_ablate.grid.launch.launcher import CellLauncher
from instruct_ablate.grid.launch.slurm_jobs import wait_for_queued
from instruct_ablate.grid.planned_cell import Cell

log = logging.getLogger(__name__)


def launch(launcher: Any, cells: Sequence[Cell], waiting: Sequence[Cell]) -> None:
    """Hand the cells to the configured launcher, then wait for those that an earlier command has queued.

    What a launcher returns is not trusted: the disk is.
    """
    try:
        if cells:
            _hand_over(launcher, cells)
        if waiting and not waiting[0].config.detach:
            wait_for_queued(waiting)
    # `fail_fast` ends a launcher so; what became of all cells is told all the same.
    except SystemExit as stop:
        log.warning("the sweep stopped early (exit status %s)", stop.code)


def _hand_over(launcher: Any, cells: Sequence[Cell]) -> None:
    if cells[0].config.detach and not (isinstance(launcher, CellLauncher) and launcher.can_detach):
        raise UserError(
            "detach=true: the cells of this launcher end with the command; add hydra/launcher=submitit_slurm"
        )
    if cells[0].config.raise_faults:
        for cell in cells:
            run_cell(cell.config)
    elif isinstance(launcher, CellLauncher):
        launcher.run(cells)
    elif is_here(launcher):
        run_in_turn(launcher, cells)
    else:
        _launch_overrides(launcher, cells)


def _launch_overrides(launcher: Any, cells: Sequence[Cell]) -> None:
    try:
        launcher.launch([list(cell.overrides) for cell in cells], initial_job_idx=0)
    except Exception as error:  # a launcher whose worker was killed; the cells that ended are on disk
        log.error("the launcher gave up: %s", with_kind(error))
