"""The launcher `fused`: cells of one base model that train with LoRA take their steps together, in this process."""

# No `from __future__ import annotations`: Hydra runs plugin modules before they are in `sys.modules`.
from collections.abc import Sequence
from typing import Any

from instruct_ablate.grid.launch.launcher import CellLauncher


class FusedLauncher(CellLauncher):
    """Hand cells to `instruct_ablate.grid.launch.fused`, which does the work."""

    def __init__(self, cells: int = 8, tokens: int | None = None) -> None:
        from instruct_ablate.grid.launch.fused import LIMITS
        from instruct_ablate.limits import check_limits

        self.cells, self.tokens = cells, tokens
        check_limits("hydra.launcher", self, LIMITS)

    def run(self, cells: Sequence[Any]) -> None:
        """Run the cells: those that can be together so, the others in turn."""
        from instruct_ablate.grid.launch.fused import run_fused

        run_fused(self, cells, self.cells, self.tokens)
