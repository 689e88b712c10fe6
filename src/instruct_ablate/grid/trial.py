"""A cell as a trial of a search: what another sweeper than ours, such as Hydra's Optuna sweeper, calls.

Such a sweeper composes cells one by one and is answered with the score that each one's weights were chosen by, on
training tasks that are held out: test scores choose nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.run.selection import chosen_by
from instruct_ablate.cell.run.task_function import INTERRUPTED, composed, run_one
from instruct_ablate.cell.state.canonical import is_untuned
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.errors import TrialFailedError, UserError, refusal
from instruct_ablate.grid.checking.preflight import faults
from instruct_ablate.grid.declaration import declare
from instruct_ablate.process.processes import rank
from instruct_ablate.schema import Config

GRIDS = ("ablation", "basic")  # sweepers that ask for no score
DIRECTION = "hydra.sweeper.direction"


def run_task(config: Any) -> float | str:
    """Run one cell, as Hydra calls it: a grid gets the state it ended in, a search its validation score."""
    sweeper = _searching()
    return run_one(config) if sweeper is None else _run_trial(composed(config), sweeper)


def _searching() -> Any:
    """Return the configuration of a sweeper that searches; None in a grid, or where Hydra is not there."""
    from hydra.core.hydra_config import HydraConfig

    if not HydraConfig.initialized():
        return None
    hydra = HydraConfig.get()
    return None if hydra.runtime.choices.get("hydra/sweeper") in GRIDS else hydra.sweeper


def _run_trial(config: Config, sweeper: Any) -> float:
    """Check and run one cell; return its validation score.

    A cell that fails raises, which is what Hydra's sweepers count as a failed trial; a stop from outside ends all.
    """
    check_search(config, sweeper)
    if found := faults([config]):
        raise refusal(found)
    if rank() == 0:
        declare(Path(config.output) / config.study, [identify(config)], config)
    record = run_cell(config)
    if record.state == "interrupted":
        raise SystemExit(INTERRUPTED)
    if record.state == "failed" and config.fail_fast:
        raise SystemExit(1)
    return validation_score(record)


def check_search(config: Config, sweeper: Any) -> None:
    """Refuse a search without a score to search by, in the wrong direction, or with what only our sweeper does."""
    if is_untuned(config) or (measure := chosen_by(config.trainer)) is None:
        raise UserError(
            "a search (hydra/sweeper) needs a score on held-out training tasks: add tasks.validation=4 "
            "trainer.select=best:rougeL evaluation.every_epochs=0.25, and train (data_budget above 0)."
        )
    wanted, better = ("maximize", "higher") if measure.metric.higher_is_better else ("minimize", "lower")
    direction = sweeper.get("direction")
    given = getattr(direction, "name", direction)
    if given not in (None, wanted):
        raise UserError(
            f"{DIRECTION}={given}: trainer.select={config.trainer.select} is better where it is {better}: "
            f"add {DIRECTION}={wanted}."
        )
    for key, neutral in (("until", "done"), ("detach", False)):
        if vars(config)[key] != neutral:
            raise UserError(
                f"{key}={vars(config)[key]} is for grids (hydra/sweeper={GRIDS[0]}); leave it out."
            )


def validation_score(record: CellRecord) -> float:
    """Return the score that a cell's weights were chosen by; `TrialFailedError` where it has none."""
    if record.state == "done" and record.selected is not None:
        return record.selected.score
    said = record.failure.reason if record.failure else "; ".join(record.notes)
    raise TrialFailedError(f"{record.name} is {record.state}" + (f": {said}" if said else ""))
