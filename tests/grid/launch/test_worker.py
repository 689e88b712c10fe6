"""The real worker on real small cells: warm processes give the bits of fresh ones, and do not grow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.grid.launch.local_pool import Pool
from instruct_ablate.grid.launch.worker import READY, order
from instruct_ablate.grid.launch.worker_process import Share, WorkerProcess
from instruct_ablate.grid.planned_cell import Cell
from instruct_ablate.schema import Config, EvaluationConfig, LoggerConfig, MethodConfig, ModelConfig
from tests.cell.test_faults import grid
from tests.grid.small import ROOT
from tests.standins import make_config

ONE = [Share(None, 1)]
CELLS = 50
GROWTH = 30 * 2**20  # bytes of resident memory from the 10th to the 50th cell


@pytest.fixture(autouse=True)
def _package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}")


def cells_of(configs: list[Config]) -> list[Cell]:
    return [Cell((), config, identify(config)) for config in configs]


def result(cell: Cell) -> tuple[object, ...]:
    record = read_record(cell.folder, cell.identity.hash)
    assert record is not None
    assert record.state == "done", record.failure
    curve = [json.loads(line)["loss"] for line in _lines(cell.folder / "training.jsonl")]
    return record.blocks, [(cell.folder / block.predictions).read_bytes() for block in record.blocks], curve


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_an_order_is_one_line(tmp_path: Path) -> None:
    line = order(make_config(tmp_path), tmp_path / "output.txt", last=False)
    assert line.count(b"\n") == 1
    told = json.loads(line)
    assert told["output"] == str(tmp_path / "output.txt")
    assert told["config"]["data_budget"]["instances_per_task"] == 8


@pytest.mark.slow
def test_a_warm_process_gives_the_bits_of_fresh_ones(tmp_path: Path) -> None:
    def both(folder: Path) -> list[Cell]:
        """Four cells of one model, then another model, LoRA and the first again."""
        four = grid(folder, tmp_path / "cache", "s")
        other = replace(four[0], model=ModelConfig("tiny_t5", source="random"))
        adapted = replace(four[0], method=MethodConfig("lora"))
        return cells_of([*four, other, adapted, replace(four[0], seed=1)])

    fresh, warm = both(tmp_path / "fresh"), both(tmp_path / "warm")
    started = time.monotonic()
    Pool(ONE).run(fresh)
    cold_seconds, started = time.monotonic() - started, time.monotonic()
    Pool(ONE, cells_per_process=0).run(warm)
    warm_seconds = time.monotonic() - started
    assert [result(cell) for cell in warm] == [result(cell) for cell in fresh]
    assert warm_seconds < cold_seconds


@pytest.mark.slow
@pytest.mark.parametrize("logger", ["wandb", "csv", "tensorboard", "mlflow"])
def test_loggers_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logger: str) -> None:
    if logger != "csv":
        pytest.importorskip(logger)
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    mirrored = LoggerConfig(logger, mode="offline")
    cells = cells_of(
        [replace(_short(config), logger=mirrored) for config in grid(tmp_path, tmp_path / "cache", "s")[:2]]
    )
    Pool(ONE, cells_per_process=0).run(cells)
    for cell in cells:
        assert result(cell)
        assert "a process of its own" not in (cell.folder / "output.txt").read_text()


@pytest.mark.slow
def test_fifty_cells_leave_nothing_behind(tmp_path: Path) -> None:
    base = [_short(config) for config in grid(tmp_path, tmp_path / "cache", "s")]
    configs = [replace(base[place % 2], seed=place) for place in range(CELLS)]
    seen = list(_watched(cells_of(configs)))
    memory, files, threads = zip(*seen, strict=True)
    assert memory[-1] - memory[9] < GROWTH, [round(size / 2**20) for size in memory]
    assert files[-1] == files[0]
    assert threads[-1] <= threads[1]


def _short(config: Config) -> Config:
    """The cell with fewer steps and one test."""
    trainer = replace(config.trainer, max_steps=3, checkpoint_every_steps=100)
    return replace(config, trainer=trainer, evaluation=EvaluationConfig(["same"]))


def _watched(cells: list[Cell]) -> Iterator[tuple[int, int, int]]:
    """Run cells in one process; after each yield its resident bytes, open files and threads."""
    command = [sys.executable, "-m", "instruct_ablate.grid.launch.worker"]
    worker = WorkerProcess(command, ONE[0], cells[0], len(cells) + 1)
    home = Path(f"/proc/{worker.pid}")
    for place, cell in enumerate(cells):
        if place:
            worker.give(cell)
        while not worker.ready():
            assert worker.ended() is None, worker.last_words()
            time.sleep(0.02)
        pages = int((home / "statm").read_text().split()[1])
        threads = len(list((home / "task").iterdir()))
        yield pages * os.sysconf("SC_PAGE_SIZE"), len(list((home / "fd").iterdir())), threads
    worker.dismiss()
    while worker.ended() is None:
        time.sleep(0.02)
    worker.close()


def test_a_worker_without_orders_ends_at_once(tmp_path: Path) -> None:
    read, write = os.pipe()
    words = [sys.executable, "-m", "instruct_ablate.grid.launch.worker", str(write)]
    ended = subprocess.run(words, stdin=subprocess.DEVNULL, pass_fds=[write], check=False, timeout=200)
    os.close(write)
    assert ended.returncode == 0
    assert os.read(read, len(READY)) == b""
    os.close(read)


SERVED = """
import os, sys
from instruct_ablate.grid.launch import worker

noted = []

class Clean:
    def restore(self, folder):
        return ["a thread"] if folder.name == "leaky" else []

worker._first_of_several = lambda logger: noted.append(logger) or Clean()
worker.serve(lambda config: print(sys.stdin.read(), config.study) or config.study, int(sys.argv[1]))
os.write(int(sys.argv[1]), b"noted %d" % noted.count("none"))
"""


@pytest.mark.parametrize(
    ("cells", "answered"),
    [
        ([("a", "done", True)], b"noted 0"),  # one cell alone: nothing to clean up for
        ([("a", "done", False), ("b", "done", False), ("c", "done", True)], READY * 2 + b"noted 1"),
        ([("a", "done", False)], READY + b"noted 1"),
        ([("a", "failed", False), ("b", "done", False)], b"noted 1"),
        ([("a", "done", False), ("leaky", "done", False), ("c", "done", False)], READY + b"noted 1"),
    ],
)
def test_orders_are_answered_until_one_is_the_last_or_leaves_something(
    tmp_path: Path, cells: list[tuple[str, str, bool]], answered: bytes
) -> None:
    orders = b""
    for name, becomes, last in cells:
        (tmp_path / name).mkdir()
        config = replace(make_config(tmp_path), study=becomes)
        orders += order(config, tmp_path / name / "output.txt", last)
    read, write = os.pipe()
    words = [sys.executable, "-c", SERVED, str(write)]
    subprocess.run(words, input=orders, pass_fds=[write], check=True, timeout=200)
    os.close(write)
    assert os.read(read, 100) == answered
    os.close(read)
    assert (tmp_path / cells[0][0] / "output.txt").read_text() == f" {cells[0][1]}\n", "its own, and no input"
