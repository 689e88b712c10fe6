"""Cells of one base model that train with LoRA, over weights that are in memory once; the others by themselves.

Which cells can be together is decided here, by their configurations; how their steps are joined stands in
`cell/run/side_by_side`. On a processor they take turns unless joined passes are asked for: those gain no time there.
What keeps steps from being joined does not keep cells from taking turns.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
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
    hydra, many = launcher.config.hydra, len(cells)
    # Hydra's own `run_job` does this for every job; cells that we run ourselves would go without.
    configure_log(hydra.job_logging, hydra.verbose)
    done = 0
    with restoring(cells) as restore:
        for group in groups(cells, most, tokens):
            if len(group) == 1 or tokens is None:
                _in_turn(launcher, group, restore, (done, many))
            else:
                _together(launcher, group, tokens, restore, (done, many))
            done += len(group)


def groups(cells: Sequence[Cell], most: int, tokens: int | None = None) -> Iterator[list[Cell]]:
    """Yield cells that run together, and those that run alone, by the place of the first; say why these do.

    Cells whose steps are joined are at most `most`; those that take turns over one copy of the weights, all there are.
    """
    gathered: dict[str, list[Cell]] = {}
    for cell in cells:
        why = why_alone(cell.config, tokens)
        if why:
            log.warning("%s runs by itself: %s", cell.identity.name, why)
        key = cell.identity.hash if why is not None else _base(cell.config, tokens)
        gathered.setdefault(key, []).append(cell)
    for group in gathered.values():
        size = len(group) if tokens is None else most
        for first in range(0, len(group), size):
            yield group[first : first + size]


def why_alone(config: Config, tokens: int | None = None) -> str | None:
    """Say why a cell cannot run with others; nothing where it does not train, None where it can.

    `tokens`: of a joined pass, where steps are joined; None where cells take turns over one copy of the weights.
    """
    if is_baseline(config) or is_untuned(config):
        return ""
    method, trainer = config.method, config.trainer
    reasons = {
        f"method={method.name} trains the model's own weights": method.name != "lora",
        "several processes train it": trainer.devices * trainer.num_nodes > 1 or trainer.strategy != "auto",
        "trainer.compile=true": trainer.compile,
        "on a GPU cells are together with hydra.launcher.tokens=N alone": tokens is None
        and _on_gpu(trainer.accelerator),
    }
    if tokens is not None:
        reasons |= _why_not_joined(config)
    return next((reason for reason, holds in reasons.items() if holds), None)


def _why_not_joined(config: Config) -> dict[str, bool]:
    """What keeps a cell's steps from being joined with those of others, and whether this cell has it."""
    method, workers = config.method, config.data.num_workers
    return {
        "method.dora=true measures the model's own weights too": method.dora,
        f"method.dropout={method.dropout} draws from the process's generator": method.dropout > 0,
        "data.packing=false": not config.data.packing,
        f"data.num_workers={workers} starts processes": workers > 0,
        "trainer.precision=fp16 scales each cell's loss by its own number": config.trainer.precision
        == "fp16",
        f"logger={config.logger.name} has one cell open at a time": config.logger.name not in LOGGERS,
        "cell_timeout could end one cell only together with the others": config.cell_timeout is not None,
    }


def _on_gpu(accelerator: str) -> bool:
    return accelerator != "cpu" and bool(visible_gpus())


def _base(config: Config, tokens: int | None) -> str:
    """Return what cells that run together have alike: the weights as they are read, and what a joined pass has once."""
    trainer = config.trainer
    read = (config.model, trainer.precision, trainer.accelerator, config.cache, config.extensions)
    passed = (trainer.threads, trainer.dropout, trainer.activation_checkpointing)
    return repr(read if tokens is None else (read, passed))


def _in_turn(launcher: Any, cells: Sequence[Cell], restore: Restore, place: tuple[int, int]) -> None:
    """Run cells one after another, several over one copy of the weights; what adapters are folded into is their own.

    `place`: how many cells have run before them, and how many there are in all.
    """
    from instruct_ablate.cell.run.side_by_side import lending

    with ExitStack() as lent:
        if len(cells) > 1:
            log.info(
                "%d cells take turns over one copy of the model's weights: on a processor joined steps take as long as "
                "their own, and more memory (hydra.launcher.tokens=N joins them, N tokens a pass)",
                len(cells),
            )
            lent.enter_context(lending())
        for number, cell in enumerate(cells, place[0] + 1):
            log.info("cell %d of %d: %s", number, place[1], cell.identity.name)
            run_here(launcher, cell)
            restore(cell.folder)


def _together(
    launcher: Any, cells: Sequence[Cell], tokens: int, restore: Restore, place: tuple[int, int]
) -> None:
    """Run cells at once, `tokens` a joined pass; `place` as for those that run in turn."""
    from instruct_ablate.cell.run.side_by_side import side_by_side

    names = ", ".join(cell.identity.name for cell in cells)
    log.info("cells up to %d of %d: %s", place[0] + len(cells), place[1], names)
    side_by_side({cell.identity.name: partial(launcher.task_function, cell.config) for cell in cells}, tokens)
    for cell in cells:
        restore(cell.folder)
