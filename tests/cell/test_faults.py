"""A small real grid killed again and again: what it ends with is what an undisturbed one ends with."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.schema import (
    BudgetConfig,
    Config,
    EvaluationConfig,
    InstructionConfig,
    TasksConfig,
    TrainerConfig,
)
from tests.standins import make_config

CONTEXT = multiprocessing.get_context("fork")
KILLS = 20


def grid(folder: Path, cache: Path, study: str) -> list[Config]:
    trainer = TrainerConfig(
        precision="fp32", batch_size=2, accelerator="cpu", progress=False, threads=1, checkpoint_every_steps=1
    )
    shown = [InstructionConfig(), InstructionConfig("simplified"), InstructionConfig(examples="delusive")]
    cells = [(one, BudgetConfig(8, tasks=4)) for one in shown] + [(shown[0], BudgetConfig(0))]
    return [
        make_config(
            folder,
            tasks=TasksConfig("starter", test_tasks=3, test_instances=10),
            trainer=trainer,
            instruction=instruction,
            data_budget=budget,
            evaluation=EvaluationConfig(["same", "delusive"]),
            cache=str(cache),
            study=study,
            reuse="none",  # the undisturbed grid lies in the same folder
        )
        for instruction, budget in cells
    ]


def run_all(configs: Sequence[Config]) -> None:
    for config in configs:
        run_cell(config)


def start(configs: Sequence[Config]) -> multiprocessing.process.BaseProcess:
    process = CONTEXT.Process(target=run_all, args=(configs,))
    process.start()
    return process


def done(folder: Path) -> dict[str, CellRecord]:
    records = (read_record(path.parent) for path in folder.glob("*/record.json"))
    return {record.name: record for record in records if record and record.state == "done"}


@pytest.mark.slow
def test_killed_at_twenty_random_moments_it_ends_the_same(tmp_path: Path) -> None:

    cache, draw = tmp_path / "cache", random.Random(5)
    start(grid(tmp_path, cache, "whole")).join()
    expected = done(tmp_path / "whole")
    assert len(expected) == 4
    study, kept = 0, dict[str, CellRecord]()
    for _ in range(KILLS):
        configs = grid(tmp_path, cache, f"killed-{study}")
        _kill(start(configs), draw.uniform(0.02, 1.5))
        now = done(tmp_path / f"killed-{study}")
        assert {
            name: record for name, record in now.items() if name in kept
        } == kept  # nothing done was redone
        kept = now
        if len(kept) == len(configs):  # survived to its end: the other kills hit a fresh study
            _compare(tmp_path, expected, f"killed-{study}")
            study, kept = study + 1, {}
    start(grid(tmp_path, cache, f"killed-{study}")).join()
    _compare(tmp_path, expected, f"killed-{study}")


def _kill(process: multiprocessing.process.BaseProcess, seconds: float) -> None:
    process.join(seconds)
    if process.exitcode is None:
        os.kill(process.pid or 0, signal.SIGKILL)
    process.join()


def _compare(folder: Path, expected: dict[str, CellRecord], study: str) -> None:
    found = done(folder / study)
    assert found.keys() == expected.keys()
    for name, record in expected.items():
        assert found[name].blocks == record.blocks
        for block in record.blocks:
            whole, killed = (folder / each / name / block.predictions for each in ("whole", study))
            assert whole.read_bytes() == killed.read_bytes()
