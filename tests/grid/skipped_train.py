"""`train.py` with stand-ins whose cells run in this process, however many; it ends with its peak of memory in KiB."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.entry import main
from instruct_ablate.grid import sweep
from instruct_ablate.grid.planned_cell import Cell
from tests.standins import replace_inputs, work


def run_here(launcher: Any, cells: Sequence[Cell], waiting: Sequence[Cell]) -> None:
    """In place of the launcher's processes, whose weights and locks are not what is measured."""
    for cell in cells:
        run_cell(cell.config, work)


if __name__ == "__main__":
    patch = pytest.MonkeyPatch()
    replace_inputs(patch)
    patch.setattr(sweep, sweep.launch.__name__, run_here)
    main()
    # Not getrusage: its peak is inherited from the process that started this one.
    sys.stdout.write("peak " + re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0])
