"""The task function: how a cell ends is what a launcher gets, or the exit status that stops the sweep."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf

from instruct_ablate.cell.run import task_function
from instruct_ablate.cell.run.task_function import INTERRUPTED, run_one
from instruct_ablate.errors import UserError
from instruct_ablate.schema import Config


def ends(monkeypatch: pytest.MonkeyPatch, state: str, **changes: Any) -> Any:
    """A composed cell that ends in `state`."""
    monkeypatch.setattr(task_function, "run_cell", lambda config: SimpleNamespace(state=state))
    return composed(**changes)


def composed(**changes: Any) -> Any:
    values = {"cache": "c", "tasks": {"reader": "starter"}, "data_budget": {"instances_per_task": 1}}
    named = {key: {"name": "x"} for key in ("model", "method")} | {"prompt": {"template": "plain"}}
    return OmegaConf.merge(OmegaConf.structured(Config), values, named, changes)


@pytest.mark.parametrize("state", ["done", "failed"])
def test_the_state_is_returned(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    assert run_one(ends(monkeypatch, state)) == state


def test_a_stop_from_outside_stops_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit) as stop:
        run_one(ends(monkeypatch, "interrupted"))
    assert stop.value.code == INTERRUPTED == 143


def test_a_failure_stops_the_sweep_with_fail_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit) as stop:
        run_one(ends(monkeypatch, "failed", fail_fast=True))
    assert stop.value.code == 1
    assert run_one(ends(monkeypatch, "done", fail_fast=True)) == "done"


def test_a_folder_that_cannot_be_written_is_a_failure_that_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(config: Config) -> Any:
        raise UserError("cannot write there")

    monkeypatch.setattr(task_function, "run_cell", refuse)
    assert run_one(composed()) == "failed"
    assert "cannot write there" in caplog.text
