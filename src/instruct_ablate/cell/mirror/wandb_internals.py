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
