"""A few real steps of each model of a grid, to know how long it will take."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.canonical import effective, is_baseline, is_untuned
from instruct_ablate.errors import UserError
from instruct_ablate.grid.planned_cell import Cell
from instruct_ablate.grid.speeds import Speed, Way, speeds, way_of
from instruct_ablate.schema import Config

TESTED = (20, 2)  # test tasks, and instances of each, that a probe predicts


def probe(cells: Sequence[Cell], steps: int) -> dict[Way, Speed]:
    """Run `steps` steps and a few predictions of every model, method and grouping there is, in a folder of its own."""
    if steps < 1:
        raise UserError(f"--probe {steps}: at least one step")
    chosen: dict[tuple[str, str], Config] = {}
    for cell in sorted(cells, key=lambda cell: is_untuned(cell.config)):  # trained ones say more
        config = effective(cell.config)
        if not is_baseline(config):
            chosen.setdefault((config.model.name, way_of(config)), config)
    with tempfile.TemporaryDirectory(prefix="instruct-ablate-probe-") as folder:
        records = [run_cell(_short(config, steps, folder)) for config in chosen.values()]
    for record in records:
        if record.state != "done":
            reason = record.failure.reason if record.failure else record.state
            raise UserError(f"the probe of {record.name} did not end: {reason}")
    return speeds(records, chosen.values())


def _short(config: Config, steps: int, folder: str) -> Config:
    tasks, instances = TESTED
    return replace(
        config,
        tasks=replace(
            config.tasks,
            test_tasks=min(tasks, config.tasks.test_tasks or tasks),
            test_instances=min(instances, config.tasks.test_instances or instances),
        ),
        trainer=replace(config.trainer, max_steps=steps),
        logger=replace(config.logger, name="none"),
        output=folder,
        study="probe",
        keep_checkpoints=False,
    )
