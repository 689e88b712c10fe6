"""The process of one cell, as `local_pool` starts it: reads a configuration from standard input and runs it."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Run the cell; exit status 0 unless it was told to stop."""
    _follow_parent()
    from omegaconf import OmegaConf

    from instruct_ablate.entry import run_one

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    run_one(OmegaConf.create(sys.stdin.read()))


def _follow_parent() -> None:
    """Ask the kernel for SIGTERM when the sweep dies: the cell then stops after its checkpoint."""
    with contextlib.suppress(OSError, AttributeError):  # Linux alone has it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    main()
