"""An exported model as an artifact of its cell's W&B run."""

from __future__ import annotations

from pathlib import Path

from instruct_ablate.cell.mirror.wandb_run import log_model, open_run, resolved_mode, run_id
from instruct_ablate.cell.state.record import CellRecord
from instruct_ablate.schema import LoggerConfig


def log_exported(cell: Path, record: CellRecord, exported: Path, logger: LoggerConfig) -> str:
    """Log a folder in the run of the cell that it was exported from, online or offline; return the run's id."""
    settings = {
        "id": run_id(record.identity),
        "name": record.name,
        "project": logger.project,
        "entity": logger.entity,
        "dir": cell,
    }
    run = open_run(settings, resolved_mode(logger), logger.timeout)
    log_model(run, record, exported)
    run.finish(exit_code=0)
    return run_id(record.identity)
