"""A split list in another order is another cell, where a cell is trained; beside budgets, stops and runs of before."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.disk.learning_curve import FILE, read_curve
from instruct_ablate.model.training.module import InstructionModule
from instruct_ablate.schema import BudgetConfig, Config, ModelConfig, TasksConfig
from tests.cell.run.test_stages import folder_of, small
from tests.tasks.layout import write_collection

TRAIN, TEST = ("task1_a", "task2_b", "task4_c", "task5_d"), ("task6_e", "task7_f")
BUDGETS = (BudgetConfig(2), BudgetConfig(1, tasks=3))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    own = {name: {"Definition": [f"Answer as {name} asks."]} for name in (*TRAIN, *TEST)}
    return write_collection(tmp_path / "root", {n: own[n] for n in TRAIN}, {n: own[n] for n in TEST})


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Send this process a signal in the middle of a step; 0: of none."""
    original = InstructionModule._step

    def arrange(step: int) -> None:
        def stepped(self: InstructionModule) -> None:
            original(self)
            if self.done + 1 == step:
                os.kill(os.getpid(), signal.SIGTERM)

        monkeypatch.setattr(InstructionModule, "_step", stepped)

    return arrange


def put(root: Path, side: str, names: Sequence[str]) -> None:
    (root / "splits" / "default" / f"{side}_tasks.txt").write_text("\n".join(names))


def cell(folder: Path, cache: Path, root: Path, **changes: Any) -> Config:
    tasks = TasksConfig("natural_instructions", root=str(root), test_instances=2)
    return small(folder, cache, tasks=tasks, **changes)


def losses(config: Config, record: CellRecord) -> list[float]:
    assert record.state == "done", record.failure
    return [row["loss"] for row in read_curve(folder_of(config, record) / FILE)]


@pytest.mark.parametrize("budget", BUDGETS, ids=["of each task", "of three tasks"])
def test_another_order_is_another_cell_and_each_goes_on_as_it_began(
    budget: BudgetConfig, root: Path, tmp_path: Path, cache: Path, stop_after: Callable[[int], None]
) -> None:
    config = cell(tmp_path / "out", cache, root, data_budget=budget)
    put(root, "train", TRAIN[::-1])
    turned = identify(config)
    alone = cell(tmp_path / "alone", cache, root, data_budget=budget)
    wanted = losses(alone, run_cell(alone))
    stop_after(1)
    stopped = run_cell(config)
    assert (stopped.state, stopped.identity) == ("interrupted", turned.hash)
    stop_after(0)
    put(root, "train", TRAIN)
    usual = run_cell(config)
    assert usual.identity != turned.hash
    assert usual.setting.changed(**{"tasks.order": turned.setting.get("tasks.order")}) == turned.setting
    put(root, "train", TRAIN[::-1])
    again = run_cell(config)
    assert again.identity == turned.hash
    assert losses(config, again) == wanted != losses(config, usual)


def test_what_is_not_trained_is_the_same_cell_in_any_order(root: Path, tmp_path: Path, cache: Path) -> None:
    baseline = ModelConfig("majority", source="baseline")
    configs = [
        cell(tmp_path, cache, root, data_budget=BudgetConfig(0)),
        cell(tmp_path, cache, root, model=baseline),
    ]
    before = [identify(config) for config in configs]
    put(root, "train", TRAIN[::-1])
    put(root, "test", TEST[::-1])
    after = [identify(config) for config in configs]
    assert [one.hash for one in before] == [one.hash for one in after]
    assert not any("order" in one.to_json() for one in after)


def test_the_list_of_test_tasks_is_in_no_identity(root: Path, tmp_path: Path, cache: Path) -> None:
    config = cell(tmp_path, cache, root)
    before = identify(config)
    put(root, "test", TEST[::-1])
    assert identify(config) == before
