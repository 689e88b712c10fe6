"""The launchers `submitit_slurm` and `submitit_local`: one job per cell."""

# No `from __future__ import annotations`: Hydra runs plugin modules before they are in `sys.modules`.
from collections.abc import Sequence
from typing import Any

from instruct_ablate.grid.launch.launcher import CellLauncher


class _SubmititLauncher(CellLauncher):
    """Hand cells to `instruct_ablate.grid.launch.slurm_jobs`, which does the work."""

    cluster = ""

    def __init__(self, **params: Any) -> None:
        self.params = params

    def run(self, cells: Sequence[Any]) -> None:
        """Queue one job a cell; wait for them unless told to leave."""
        from instruct_ablate.grid.launch.slurm_jobs import run_submitted

        run_submitted(self.cluster, self.params, cells)


class SlurmLauncher(_SubmititLauncher):
    """Jobs of a Slurm cluster."""

    cluster, can_detach = "slurm", True


class LocalLauncher(_SubmititLauncher):
    """Jobs on this machine, all at once: to try out what will run on Slurm."""

    cluster = "local"
