"""What the mirror knows of the inside of wandb: its service, its threads; nowhere else.

Each has a test that says what broke when a new version moves it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from typing import Any

# Threads that know nothing of cells: telemetry, which wandb keeps for a whole process, and the sender of its last
# requests, which on a busy machine may outlive the service that it sent them to.
THREADS = ("Otel", "wandb-ServiceFinalizer")
CONNECTION = "wandb-AsyncioManager"  # the thread that speaks with the service, as long as there is one
SERVICE = "WANDB_SERVICE"  # the environment variable by which a process finds the service of another


def list_packages_once() -> None:
    """Let wandb read what is installed once a process: each run notes it, and reads every package's metadata for it.

    Of several hundred packages that took longer than all else of a further cell's start. Which packages are found
    depends on `sys.path`; what is installed while a process runs is not what it runs with.
    """
    from wandb import util

    reading: Any = util.working_set
    if not hasattr(reading, "found_once"):

        @functools.cache
        def found(path: tuple[str, ...]) -> tuple[Any, ...]:
            return tuple(reading())

        def once() -> tuple[Any, ...]:
            return found(tuple(sys.path))

        once.found_once = found  # type: ignore[attr-defined]
        util.working_set = once


class Service:
    """W&B's own process: one for the cells of a process as long as all is well with it, for it takes long to start.

    Only a run that was written to the disk to its end lets it stay: one that goes on sending, or failed, ends with it.
    """

    def __init__(self) -> None:
        self._good = False

    def is_good(self) -> None:
        """Note that the cell's run is whole: the next cell may use the same process."""
        self._good = True

    def end_unless_good(self) -> None:
        """End it after a cell, unless that cell's run is whole; the next use starts it again."""
        if not (self._good and self.process()):
            teardown()
        self._good = False

    def process(self) -> int | None:
        """Return the number of the running process that this one has started; None where there is none."""
        found: Any = sys.modules.get("wandb.sdk.wandb_setup")
        for name in ("_singleton", "_connection", "_proc", "_process"):
            found = getattr(found, name, None)
        return found.pid if found is not None and found.poll() is None else None

    def threads(self) -> tuple[str, ...]:
        """Return how the names of threads begin that outlive a cell."""
        return (*THREADS, CONNECTION) if self.process() else THREADS


SERVICE_PROCESS = Service()


def teardown() -> None:
    """End wandb's service, if it was used at all; the next use starts it again."""
    wandb = sys.modules.get("wandb")
    if wandb is not None:
        wandb.teardown()


def leave_service() -> None:
    """Start anew with W&B's own process: one that failed to open a run goes on holding the run's id."""
    os.environ.pop(SERVICE, None)
    with contextlib.suppress(Exception):  # what is given up may well be broken
        teardown()
