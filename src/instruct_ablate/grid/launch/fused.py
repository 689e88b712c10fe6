"""Cells of one base model that train with LoRA, over weights that are in memory once; the others by themselves.

Which cells can be together is decided here, by their configurations; how their steps are joined stands in
`cell/run/side_by_side`. On a processor they take turns unless joined passes are asked for: those gain no time there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hydra.core.utils import configure_log

from instruct_ablate.cell.state.canonical import is_baseline, is_untuned
from instruct_ablate.grid.launch.in_turn import Restore, restoring, run_here
from instruct_ablate.grid.launch.local_pool import visible_gpus
from instruct_ablate.limits import whole
from instruct_ablate.schema import Config

if TYPE_CHECKING:
    from instruct_ablate.grid.planned_cell import Cell

log = logging.getLogger(__name__)
LIMITS = {  # of hydra.launcher
    "cells": whole(2, 64),
    "tokens": whole(1).or_null("for cells one after another on a processor"),
}
LOGGERS = ("none", "csv", "tensorboard")  # that may be open for several cells at once


def run_fused(launcher: Any, cells: Sequence[Cell], most: int, tokens: int | None) -> None:
    """Run the cells by the launcher's task function; one that raises is told, and the others go on."""
    hydra = launcher.config.hydra
    configure_log(hydra.job_logging, hydra.verbose)
    done = 0
    with restoring(cells) as restore:
        for group in groups(cells, most, tokens):
            done += len(group)
            names = ", ".join(cell.identity.name for cell in group)
            log.info("cell%s %d of %d: %s", "s up to" if len(group) > 1 else "", done, len(cells), names)
            if len(group) == 1:
                run_here(launcher, group[0])
                restore(group[0].folder)
            elif tokens is None:
                _in_turn(launcher, group, restore)
            else:
                _together(launcher, group, tokens)
                for cell in group:
                    restore(cell.folder)


def groups(cells: Sequence[Cell], most: int, tokens: int | None = None) -> Iterator[list[Cell]]:
    """Yield cells that run together, and those that run alone, by the place of the first; say why these do."""
    gathered: dict[str, list[Cell]] = {}
    for cell in cells:
        why = why_alone(cell.config, tokens)
        if why:
            log.warning("%s runs by itself: %s", cell.identity.name, why)
        key = cell.identity.hash if why is not None else _base(cell.config)
        gathered.setdefault(key, []).append(cell)
    for group in gathered.values():
        for first in range(0, len(group), most):
            yield group[first : first + most]


def why_alone(config: Config, tokens: int | None = None) -> str | None:
    """Say why a cell cannot train together with others; nothing where it does not train, None where it can.

    `tokens`: of a joined pass, where steps are joined.
    """
    if is_baseline(config) or is_untuned(config):
        return ""
    method, trainer = config.method, config.trainer
    reasons = {
        f"method={method.name} trains the model's own weights": method.name != "lora",
        "method.dora=true measures the model's own weights too": method.dora,
        f"method.dropout={method.dropout} draws from the process's generator": method.dropout > 0,
        "data.packing=false": not config.data.packing,
        f"data.num_workers={config.data.num_workers} starts processes": config.data.num_workers > 0,
        "several processes train it": trainer.devices * trainer.num_nodes > 1 or trainer.strategy != "auto",
        "trainer.compile=true": trainer.compile,
        "trainer.precision=fp16 scales each cell's loss by its own number": trainer.precision == "fp16",
        f"logger={config.logger.name} has one cell open at a time": config.logger.name not in LOGGERS,
        "cell_timeout could end one cell only together with the others": config.cell_timeout is not None,
        "on a GPU steps are joined with hydra.launcher.tokens=N alone": tokens is None
        and _on_gpu(trainer.accelerator),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _on_gpu(accelerator: str) -> bool:
    return accelerator != "cpu" and bool(visible_gpus())


def _base(config: Config) -> str:
    """Return what cells that train together have alike."""
    trainer = config.trainer
    alike = (trainer.precision, trainer.accelerator, trainer.threads, trainer.dropout)
    return repr((config.model, alike, trainer.activation_checkpointing, config.cache, config.extensions))


def _in_turn(launcher: Any, cells: Sequence[Cell], restore: Restore) -> None:
    """Run cells one after another over one copy of the weights; what a cell folds its adapters into is its own."""
    from instruct_ablate.cell.run.side_by_side import lending

    log.info(
        "they take turns: on a processor joined steps take as long as their own, and more memory "
        "(hydra.launcher.tokens=N joins them, N tokens a pass)"
    )
    with lending():
        for cell in cells:
            run_here(launcher, cell)
            restore(cell.folder)


def _together(launcher: Any, cells: Sequence[Cell], tokens: int) -> None:
    from instruct_ablate.cell.run.side_by_side import side_by_side

    side_by_side({cell.identity.name: partial(launcher.task_function, cell.config) for cell in cells}, tokens)
