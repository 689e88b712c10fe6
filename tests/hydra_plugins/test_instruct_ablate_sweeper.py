"""The sweeper: what an experiment declares reaches the sweep; cells that are not done are exit status 1."""

from __future__ import annotations

from typing import Any

import pytest
from hydra.core.config_store import ConfigStore
from hydra.utils import instantiate
from omegaconf import OmegaConf

from hydra_plugins.instruct_ablate_sweeper import AblationSweeperConf
from instruct_ablate.grid import sweep
from instruct_ablate.grid.composing.expansion import Declared
from instruct_ablate.report.tables.terminal_table import print_summary

PARAMS = {"seed": "0,1"}
GRIDS = [{"instruction": "original"}, {"instruction": "delusive"}]


class Ran:
    """Stands in for the sweep; so many cells are not done."""

    def __init__(self, left: int) -> None:
        self.left, self.calls = left, list[tuple[Any, ...]]()

    def __call__(self, *given: Any) -> int:
        self.calls.append(given)
        return self.left


def make(**changes: Any) -> Any:
    """The sweeper as Hydra makes it from its configuration."""
    node = OmegaConf.structured(AblationSweeperConf(**changes))
    sweeper = instantiate(node)
    assert (
        type(sweeper).__name__ == "AblationSweeper"
    )  # Hydra loads plugins anew: the class itself may differ
    sweeper.setup(hydra_context="context", task_function=print, config=OmegaConf.create({"a": 1}))
    return sweeper


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    found = Ran(0)
    monkeypatch.setattr(sweep, "run_sweep", found)
    return found


def test_the_declared_grid_and_hydras_parts_are_handed_on(ran: Ran) -> None:
    make(params=PARAMS, grids=GRIDS).sweep(["model=tiny_llama"])
    ((hydra, declared, arguments, report),) = ran.calls
    assert report.summary is print_summary
    assert type(report.judge()).__name__ == "StudyJudge"
    assert report.close.__name__ == "_close"
    assert declared == Declared(PARAMS, GRIDS)
    assert all(type(grid) is dict for grid in declared.grids)
    assert arguments == ["model=tiny_llama"]
    assert (hydra.context, hydra.task_function, hydra.config) == ("context", print, {"a": 1})


def test_a_single_cell_leaves_the_grid_aside(ran: Ran) -> None:
    make(params=PARAMS, grids=GRIDS, single=True).sweep([])
    assert ran.calls[0][1] == Declared({}, [])


def test_cells_that_are_not_done_are_an_exit_status(ran: Ran) -> None:
    make().sweep([])
    ran.left = 2
    with pytest.raises(SystemExit) as stopped:
        make().sweep([])
    assert stopped.value.code == 1


def test_hydra_knows_it_by_name() -> None:
    node = ConfigStore.instance().load("hydra/sweeper/ablation.yaml")
    assert node.provider == "instruct_ablate"
    assert node.node._target_ == "hydra_plugins.instruct_ablate_sweeper.AblationSweeper"
