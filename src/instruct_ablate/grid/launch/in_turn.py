"""Cells one after another in this process: what Hydra's basic launcher does, with the cells that are composed already.

Hydra's own composes each cell a second time and puts nothing back between two of them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

# There is no public name for it, and by its type alone can be told that cells run here.
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.utils import configure_log

from instruct_ablate.cell.state.canonical import is_baseline, is_untuned
from instruct_ablate.errors import with_kind

if TYPE_CHECKING:
    from instruct_ablate.grid.planned_cell import Cell

log = logging.getLogger(__name__)
Restore = Callable[[Path], None]


def is_here(launcher: Any) -> bool:
    """Whether a launcher is Hydra's basic one, and nothing is asked of Hydra itself before or after a cell."""
    # Not isinstance: what is derived from it may do more than run cells one after another.
    if type(launcher) is not BasicLauncher:
        return False
    given: Any = launcher
    return not (given.hydra_context.callbacks.callbacks or given.config.hydra.job.env_set)


def run_in_turn(launcher: Any, cells: Sequence[Cell]) -> None:
    """Run the cells by the launcher's task function; one that raises is told, and the others go on."""
    hydra, many = launcher.config.hydra, len(cells)
    configure_log(hydra.job_logging, hydra.verbose)
    with restoring(cells) as restore:
        for number, cell in enumerate(cells, 1):
            log.info("cell %d of %d: %s", number, many, cell.identity.name)
            run_here(launcher, cell)
            restore(cell.folder)


def run_here(launcher: Any, cell: Cell) -> None:
    """Run a cell by the launcher's task function, and tell what it raises."""
    try:
        launcher.task_function(cell.config)
    except Exception as error:  # its record says nothing of it: the summary will
        log.error("%s: %s", cell.identity.name, with_kind(error))


@contextmanager
def restoring(cells: Sequence[Cell]) -> Iterator[Restore]:
    """Give what puts the process back after a cell: nothing to do for one cell alone, or without models."""
    models = [cell.config for cell in cells if not is_baseline(cell.config)]
    # Signal handlers are among what is put back, which Python allows on its main thread alone.
    if len(cells) == 1 or not models or threading.current_thread() is not threading.main_thread():
        yield lambda folder: None
        return
    from instruct_ablate.cell.run.clean_process import CleanProcess

    clean = CleanProcess(not all(map(is_untuned, models)), models[0].logger.name)

    def restore(folder: Path) -> None:
        if left := clean.restore(folder):
            log.warning("%s: the next cells run beside what it left: %s", folder.name, "; ".join(left))

    try:
        yield restore
    finally:
        clean.leave()
