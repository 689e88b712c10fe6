"""The task function: what Hydra, its launchers and the worker processes call to run one composed cell."""

from __future__ import annotations

import logging
from typing import Any

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.configuration.composition import name_tasks
from instruct_ablate.configuration.typed_values import plain
from instruct_ablate.errors import UserError
from instruct_ablate.schema import Config

INTERRUPTED = 143  # exit status of a process that was told to stop


def run_one(config: Any) -> str:
    """Run one cell, typed or as Hydra composed it; return the state it ended in.

    What must stop the whole sweep leaves as `SystemExit`: a stop from outside, or a failure with `fail_fast`.
    """
    cell = config if isinstance(config, Config) else composed(config)
    try:
        state = run_cell(cell).state
    except UserError as fault:  # the cell's folder itself cannot be written: there is no record to tell it
        logging.getLogger(__name__).error("%s", fault)
        state = "failed"
    if state == "interrupted":
        raise SystemExit(INTERRUPTED)
    if state == "failed" and cell.fail_fast:
        raise SystemExit(1)
    return state


def composed(config: Any) -> Config:
    """Return a cell's typed configuration.

    Its tasks are named by their choice where Hydra composed it; one that a planner composed has its names.
    """
    from hydra.core.hydra_config import HydraConfig

    return plain(
        name_tasks(config, HydraConfig.get().runtime.choices) if HydraConfig.initialized() else config
    )
