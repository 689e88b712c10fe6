"""What is told of a cell's W&B run later: an exported model as its artifact, scores that were computed again."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from instruct_ablate.cell.mirror.wandb_run import log_model, open_run, resolved_mode, run_id, summary, tell
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.stored_config import stored_part
from instruct_ablate.errors import UserError
from instruct_ablate.schema import LoggerConfig

RUNS = "wandb"  # where a cell's logs lie in its folder
WITHOUT_RUN = (
    "done with another logger, so that W&B has no run of them: what is done is not logged again. To have runs give the "
    "same command another study=NAME and reuse=none."
)


def lacks_run(logger: LoggerConfig, cell: Path) -> bool:
    """Whether a cell that is to be logged to W&B was done without; one that was taken over has its run elsewhere."""
    if logger.name != "wandb" or (cell / RUNS).is_dir():
        return False
    with contextlib.suppress(UserError):
        return stored_part(cell, "logger", LoggerConfig).name != "wandb"
    return False


def log_exported(cell: Path, record: CellRecord, exported: Path, logger: LoggerConfig) -> str:
    """Log a folder in the run of the cell that it was exported from, online or offline; return the run's id."""
    run = _opened(cell, record, logger, resolved_mode(logger))
    run.summary.update(summary(cell, record))
    log_model(run, record, exported)
    run.finish(exit_code=0)
    return run_id(record.identity)


def tell_again(cell: Path, record: CellRecord) -> bool:
    """Tell a cell's run its present scores, where it has one, in a log that waits for `sync`; return whether it has.

    Offline whatever the configuration says: it is read from a study, and scoring again asks no server.
    """
    logger = stored_part(cell, "logger", LoggerConfig)
    if logger.name != "wandb" or not (cell / RUNS).is_dir() or (cell / RUNS).is_symlink():
        return False
    run = _opened(cell, record, logger, "offline")
    tell(run, cell, record, logger.predictions)
    run.finish(exit_code=0 if record.state == "done" else 1)
    return True


def _opened(cell: Path, record: CellRecord, logger: LoggerConfig, mode: str) -> Any:
    settings = {
        "id": run_id(record.identity),
        "name": record.name,
        "project": logger.project,
        "entity": logger.entity,
        "dir": cell,
    }
    return open_run(settings, mode, logger.timeout)
