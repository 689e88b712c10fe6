"""This process: its command, its signals, its place among those a launcher started for one cell (torchrun, srun)."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

PROGRAM = "instruct-ablate train"  # what stands in `sys.argv` for `train.py` where the package is installed

# What launchers that start every process themselves leave in the environment: place, and number of all.
RANKS = (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS"))


@contextmanager
def handling(
    numbers: Sequence[signal.Signals], handler: Callable[[Any], Callable[[int, FrameType | None], None]]
) -> Iterator[None]:
    """Handle signals while this lasts; `handler` makes each one's from what handled it before.

    Python takes handlers from the main thread alone: in another nothing is done.
    """
    mine = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in numbers} if mine else {}
    for number, former in before.items():
        signal.signal(number, handler(former))
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def process_count() -> int:
    """Return how many processes were started for this cell; 1 where this one is alone."""
    return max(_count(place, total) for place, total in RANKS)


def rank() -> int:
    """Return this process's place among those started for the same cell; 0 is the first."""
    return next((int(os.environ[place]) for place, total in RANKS if _count(place, total) > 1), 0)


_TYPED: dict[tuple[str, ...], tuple[str, ...]] = {}  # arguments as Hydra takes them -> as they were typed


def rewrite(arguments: Sequence[str]) -> None:
    """Put this process's arguments into another form; its command stays what was typed."""
    _TYPED[tuple(arguments)] = tuple(sys.argv[1:])
    sys.argv[1:] = arguments


def command_line() -> str:
    """Return the command that runs here as it was typed, as a shell takes it."""
    program = PROGRAM.split() if sys.argv[0] == PROGRAM else sys.argv[:1]
    return shlex.join([*program, *_TYPED.get(tuple(sys.argv[1:]), sys.argv[1:])])


def after_program(command: str) -> list[str]:
    """Return the words of a stored command that follow its program; `ValueError` where it is not one for a shell."""
    words = shlex.split(command)
    program = PROGRAM.split()
    return words[len(program) :] if words[: len(program)] == program else words[1:]


def _count(place: str, total: str) -> int:
    return int(os.environ.get(total, "1")) if place in os.environ else 1
