"""`train.py` with stand-ins for data, weights and work: the whole of composing, sweeping and recording, quickly."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from instruct_ablate.cell.run import runner
from instruct_ablate.entry import main
from instruct_ablate.grid.launch import in_turn
from tests.standins import replace_inputs, work

if __name__ == "__main__":
    patch = pytest.MonkeyPatch()
    replace_inputs(patch)
    patch.setattr(runner, "_work", work)
    patch.setattr(in_turn, "restoring", lambda cells: nullcontext(lambda folder: None))  # it imports torch
    main()
