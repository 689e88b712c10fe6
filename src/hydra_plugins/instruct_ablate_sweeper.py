"""The sweeper `ablation`: expands a grid, checks all of it, launches what is missing, reads the disk."""

# No `from __future__ import annotations`: Hydra runs plugin modules before they are in `sys.modules`.
import sys
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class AblationSweeperConf:
    """`hydra.sweeper`: the grid that an experiment declares."""

    _target_: str = "hydra_plugins.instruct_ablate_sweeper.AblationSweeper"
    params: dict[str, Any] = field(default_factory=dict)  # one grid: key -> values
    grids: list[dict[str, Any]] = field(default_factory=list)  # several grids; each inherits `params`
    single: bool = False  # one cell, the declared grid left aside (train.py without -m)


class AblationSweeper(Sweeper):
    """Hand Hydra's objects to `instruct_ablate.grid.sweep`, which does the work."""

    def __init__(self, params: Any, grids: Any, single: bool) -> None:
        self.params, self.grids, self.single = params, grids, single

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what a launch needs; the launcher itself is made only when there is something to launch."""
        self.context, self.task_function, self.config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        """Run the grid that `arguments` and the declared params span; exit status 1 if cells are not done."""
        from instruct_ablate.grid.composing.expansion import Declared
        from instruct_ablate.grid.sweep import HydraParts, Reporter, run_sweep
        from instruct_ablate.report.tables.terminal_table import print_summary

        declared = (
            Declared({}, []) if self.single else Declared(dict(self.params), [dict(g) for g in self.grids])
        )
        parts = HydraParts(self.context, self.task_function, self.config)
        if run_sweep(parts, declared, arguments, Reporter(print_summary, _close, _judge)):
            sys.exit(1)


def _close(folder: Any) -> None:
    """Write the report and say the verdicts; other sweeps load no statistics."""
    from instruct_ablate.report.closing import close

    close(folder)


def _judge() -> Any:
    """Make what answers hypotheses; sweeps that state none load no statistics."""
    from instruct_ablate.report.verdicts.at_looks import StudyJudge

    return StudyJudge()


ConfigStore.instance().store(
    group="hydra/sweeper", name="ablation", node=AblationSweeperConf, provider="instruct_ablate"
)
