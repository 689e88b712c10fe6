"""Checkpoints of a fit: written whole, the last two kept, a damaged one passed over for the one before."""

from __future__ import annotations

import logging
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from instruct_ablate.disk.fence import inside_fence
from instruct_ablate.disk.whole_files import opened_plain, whole_file
from instruct_ablate.errors import Interrupted, UserError, in_a_line
from instruct_ablate.process.processes import handling
from instruct_ablate.process.turns import this_cell

log = logging.getLogger(__name__)
LAST = 2
TRAINED = "trained.ckpt"
_STEP = re.compile(r"step-(\d+)\.ckpt")


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write `folder`/step-N.ckpt and drop all but the last two."""
    write(folder / f"step-{state['step']:08d}.ckpt", state)
    with inside_fence(folder):
        for old in steps(folder)[:-LAST]:
            old.unlink(missing_ok=True)


def write(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint under a temporary name, flush it to the disk and rename it."""
    try:
        with whole_file(path) as unfinished, unfinished.open("wb") as file:
            torch.save(state, file)
    except (OSError, RuntimeError) as error:  # torch tells a full disk as a RuntimeError
        raise UserError(
            f"cannot write the checkpoint {path}: {in_a_line(error)}. Free some space and run again."
        ) from error


def steps(folder: Path) -> list[Path]:
    """Return the checkpoints of a fit, oldest first."""
    return sorted(path for path in folder.glob("step-*.ckpt") if _STEP.fullmatch(path.name))


def latest(folder: Path) -> dict[str, Any] | None:
    """Load the newest checkpoint that can be read; damaged ones are set aside and told."""
    for path in reversed(steps(folder)):
        state = read(path)
        if state is not None:
            return state
    return None


def read(path: Path) -> dict[str, Any] | None:
    """Load a checkpoint; None where it is missing or damaged (it is renamed to *.damaged then)."""
    if not os.path.lexists(path):
        return None
    try:
        with opened_plain(path):
            pass  # a pipe would be waited for, a link followed
        # `weights_only`: a checkpoint lies in a study, and reading a study runs no code.
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Interrupted:
        raise  # told to stop while it was read: it is not damaged
    except Exception as error:
        # torch raises many kinds of error on a truncated file; each means the same here
        with inside_fence(path):
            path.replace(path.with_suffix(".damaged"))
        log.warning(
            "the checkpoint %s is damaged (%s): the one before is used", path.name, type(error).__name__
        )
        return None
    return state


class StopRequest:
    """Whether this process was told to stop; the fit looks between steps."""

    def __init__(self) -> None:
        self.reason: str | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Note SIGTERM, SIGUSR2 and the first Ctrl-C instead of dying of them; a second Ctrl-C is at once."""
        if (cell := this_cell()) is not None:
            with cell.listening(self):
                yield
            return
        with handling((signal.SIGTERM, signal.SIGUSR2, signal.SIGINT), self._note):
            yield

    def _note(self, before: Any) -> Callable[[int, FrameType | None], None]:
        def note(number: int, frame: FrameType | None) -> None:
            if number == signal.SIGINT and self.reason is not None:
                raise KeyboardInterrupt
            self.reason = signal.Signals(number).name
            # A launcher that requeues its job on this signal must hear of it too.
            if callable(before) and number != signal.SIGINT and "submitit" in str(before.__module__):
                before(number, frame)

        return note
