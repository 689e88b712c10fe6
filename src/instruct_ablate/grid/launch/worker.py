"""The process of one cell or several, as `local_pool` starts it: runs the cells it reads from standard input.

An order is a line of JSON: a cell's configuration and where its output goes. After each cell but the last the process
cleans up and writes a line to the pipe that its argument names; it then waits for the next order. It ends at the end
of the input, and after a cell that is not done: what such a cell leaves in memory is not known.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from instruct_ablate.schema import Config

READY = b"ready\n"
Run = Callable[[Any], str]


def order(config: Config, output: Path, last: bool) -> bytes:
    """Return the line that asks for a cell; `last`: no other will follow."""
    told = {"config": dataclasses.asdict(config), "output": str(output), "last": last}
    return json.dumps(told).encode() + b"\n"


def main(answers: int) -> None:
    """Run cells as ordered; exit status 0 unless told to stop."""
    from instruct_ablate.cell.run.task_function import run_one

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    serve(run_one, answers)


def serve(run: Run, answers: int) -> None:
    """Read orders and run them."""
    from omegaconf import OmegaConf

    orders, clean = _own_input(), None
    for line in orders:
        told = json.loads(line)
        _print_to(Path(told["output"]))
        if not told["last"] and clean is None:
            clean = _first_of_several(told["config"]["logger"]["name"])
        done = run(OmegaConf.create(told["config"])) == "done"
        if told["last"] or not done or not _restored(clean, Path(told["output"]).parent):
            return
        os.write(answers, READY)


def _own_input() -> IO[bytes]:
    """Take standard input for the orders alone: a cell that reads it finds it empty."""
    orders = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return orders


def _print_to(output: Path) -> None:
    """Send what is printed from now on, by libraries in C too, to a cell's own file."""
    sys.stdout.flush()
    sys.stderr.flush()
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def _first_of_several(logger: str) -> Any:
    """Note the state of the process before its first cell."""
    from instruct_ablate.cell.run.clean_process import CleanProcess

    return CleanProcess(logger=logger)


def _restored(clean: Any, folder: Path) -> bool:
    """Put the process back; False where something of the cell is left in it."""
    left = clean.restore(folder)
    if left:
        logging.getLogger(__name__).warning("the next cell gets a process of its own: %s", "; ".join(left))
    return not left


if __name__ == "__main__":
    main(int(sys.argv[1]))
