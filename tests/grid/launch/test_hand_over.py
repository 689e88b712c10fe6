"""Cells handed to a launcher: whose they are, what is refused, and what is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher

from instruct_ablate.errors import UserError
from instruct_ablate.grid.launch import hand_over
from instruct_ablate.grid.launch.hand_over import launch
from instruct_ablate.grid.launch.launcher import CellLauncher


def cell(**config: bool) -> Any:
    return SimpleNamespace(
        config=SimpleNamespace(**{"detach": False, "raise_faults": False, **config}), overrides=("seed=1",)
    )


class Foreign:
    """A launcher of another package, which takes overrides."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error, self.given = error, list[list[str]]()

    def launch(self, overrides: list[list[str]], initial_job_idx: int) -> None:
        self.given += overrides
        if self.error is not None:
            raise self.error


class Own(CellLauncher):
    """A launcher of ours, which takes cells."""

    def __init__(self, can_detach: bool) -> None:
        self.can_detach, self.given = can_detach, list[Any]()

    def run(self, cells: Sequence[Any]) -> None:
        self.given += cells


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[Any]]]:
    """What is run here, and what is waited for, instead of doing it."""
    found: list[tuple[str, list[Any]]] = []
    monkeypatch.setattr(hand_over, "run_cell", lambda config: found.append(("raising", [config])))
    monkeypatch.setattr(hand_over, "run_in_turn", lambda _, cells: found.append(("in turn", list(cells))))
    monkeypatch.setattr(hand_over, "wait_for_queued", lambda cells: found.append(("waiting", list(cells))))
    return found


@pytest.mark.parametrize("error", [None, RuntimeError("a worker was killed"), SystemExit(1)])
def test_the_disk_is_asked_and_not_the_launcher(error: BaseException | None) -> None:
    launcher = Foreign(error)
    launch(launcher, [cell()], [])
    assert launcher.given == [["seed=1"]]


def test_a_launcher_that_ends_with_the_command_cannot_be_left() -> None:
    for launcher in (Foreign(), Own(can_detach=False)):
        with pytest.raises(UserError, match=r"detach=true.*hydra/launcher=submitit_slurm"):
            launch(launcher, [cell(detach=True)], [])
        assert launcher.given == []


def test_what_an_earlier_command_has_queued_is_waited_for_unless_the_command_leaves(
    calls: list[tuple[str, list[Any]]],
) -> None:
    launcher, own, queued = Own(can_detach=True), cell(), cell()
    launch(launcher, [own], [queued])
    assert (launcher.given, calls) == ([own], [("waiting", [queued])])
    launch(launcher, [cell(detach=True)], [cell(detach=True)])
    assert len(launcher.given) == 2
    assert calls == [("waiting", [queued])]
    launch(Foreign(RuntimeError("a worker was killed")), [cell()], [queued])
    assert calls == 2 * [("waiting", [queued])]


def test_cells_run_here_one_after_another_and_where_faults_are_raised_without_a_launcher(
    calls: list[tuple[str, list[Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_over, "is_here", lambda launcher: isinstance(launcher, BasicLauncher))
    cells = [cell(), cell()]
    launch(BasicLauncher(), cells, [])
    assert calls == [("in turn", cells)]
    raising, launcher = [cell(raise_faults=True), cell(raise_faults=True)], Own(can_detach=True)
    launch(launcher, raising, [])
    assert calls[1:] == [("raising", [one.config]) for one in raising]
    assert launcher.given == []
