"""The launcher `local_pool`: processes on this machine, as many at once as asked for."""

# No `from __future__ import annotations`: Hydra runs plugin modules before they are in `sys.modules`.
from collections.abc import Sequence
from typing import Any

from instruct_ablate.grid.launch.launcher import CellLauncher


class LocalPoolLauncher(CellLauncher):
    """Hand cells to `instruct_ablate.grid.launch.local_pool`, which does the work."""

    def __init__(self, n: int | None = None, threads: int | None = None, cells_per_process: int = 0) -> None:
        from instruct_ablate.grid.launch.local_pool import LIMITS
        from instruct_ablate.limits import check_limits

        self.n, self.threads, self.cells_per_process = n, threads, cells_per_process
        check_limits("hydra.launcher", self, LIMITS)

    def run(self, cells: Sequence[Any]) -> None:
        """Run the cells, in warm processes or each in one of its own."""
        from instruct_ablate.grid.launch.local_pool import Pool, shares

        Pool(shares(self.n, self.threads), cells_per_process=self.cells_per_process).run(cells)
