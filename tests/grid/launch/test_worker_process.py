"""One process of the pool: given cells, watched, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.grid.launch.worker_process import OUTPUT, Share, WorkerProcess
from instruct_ablate.grid.planned_cell import Cell
from tests.standins import make_config, replace_inputs

# Reads an order, says what it read, and answers; `quiet` ones wait for ever.
ECHO = """
import json, os, sys
for line in sys.stdin:
    told = json.loads(line)
    print(told["last"], told["config"]["trainer"]["threads"], os.environ["OMP_NUM_THREADS"], flush=True)
    if told["last"]:
        sys.exit(3)
    os.write(int(sys.argv[1]), b"ready\\n")
"""
QUIET = "import time; time.sleep(60)"
Start = Callable[..., WorkerProcess]


def make_cell(folder: Path, seed: int = 0, extensions: tuple[str, ...] = ()) -> Cell:
    config = make_config(folder, seed=seed, extensions=list(extensions))
    return Cell((), config, identify(replace(config, extensions=[])))


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a process with its first cell; it is ended afterwards."""
    replace_inputs(monkeypatch)
    begun: list[WorkerProcess] = []

    def begin(program: str, cells: int, cell: Cell | None = None) -> WorkerProcess:
        command = [sys.executable, "-c", program]
        begun.append(WorkerProcess(command, Share("7", 3), cell or make_cell(tmp_path), cells))
        return begun[-1]

    yield begin
    for one in begun:
        one.stop(at_once=True)
        wait(lambda one=one: one.ended() is not None)  # type: ignore[misc]
        one.close()


def wait(reached: Callable[[], bool]) -> None:
    limit = time.monotonic() + 200
    while not reached():
        assert time.monotonic() < limit
        time.sleep(0.01)


def printed(cell: Cell) -> str:
    return (cell.folder / OUTPUT).read_text()


def test_it_is_given_cells_until_there_were_enough(start: Start, tmp_path: Path) -> None:
    one, first = start(ECHO, 2), make_cell(tmp_path)
    assert one.cell == first
    wait(one.ready)
    assert printed(first) == "False 3 3\n"
    assert not one.ready()
    second = make_cell(tmp_path, 1)
    assert one.takes(second)
    one.give(second)
    assert one.cell == second
    assert not one.takes(make_cell(tmp_path, 2))
    wait(lambda: one.ended() is not None)
    assert one.ended() == 3
    assert printed(first) == "False 3 3\nTrue 3 3\n"


def test_a_fresh_process_for_one_cell_is_told_that_it_is_the_last(start: Start, tmp_path: Path) -> None:
    one = start(ECHO, 1)
    wait(lambda: one.ended() is not None)
    assert not one.ready()
    assert one.last_words() == "True 3 3\n"


def test_only_cells_of_the_same_extensions_are_taken(start: Start, tmp_path: Path) -> None:
    one = start(ECHO, 9, make_cell(tmp_path, extensions=("a.py",)))
    assert one.takes(make_cell(tmp_path, 1, ("a.py",)))
    assert not one.takes(make_cell(tmp_path, 1))
    assert not one.takes(make_cell(tmp_path, 1, ("a.py", "b.py")))


def test_a_count_below_nought_never_ends(start: Start, tmp_path: Path) -> None:
    one = start(ECHO, -1)
    for seed in range(1, 4):
        wait(one.ready)
        cell = make_cell(tmp_path, seed)
        assert one.takes(cell)
        one.give(cell)
    wait(one.ready)


def test_dismissed_it_ends_by_itself(start: Start) -> None:
    one = start(ECHO, 5)
    wait(one.ready)
    one.dismiss()
    assert one.cell is None
    wait(lambda: one.ended() is not None)
    assert one.ended() == 0


@pytest.mark.parametrize(("at_once", "number"), [(False, signal.SIGTERM), (True, signal.SIGKILL)])
def test_it_is_stopped(start: Start, at_once: bool, number: signal.Signals) -> None:
    one = start(QUIET, 1)
    assert one.ended() is None
    one.stop(at_once)
    wait(lambda: one.ended() is not None)
    assert one.ended() == -number
    one.stop(at_once)  # once more does no harm


def test_one_that_died_can_be_given_a_cell(start: Start, tmp_path: Path) -> None:
    one = start("", 5)
    wait(lambda: one.ended() is not None)
    one.give(make_cell(tmp_path, 1))
    assert one.ended() == 0


def test_threads_that_the_user_asked_for_stay(start: Start, tmp_path: Path) -> None:
    cell = make_cell(tmp_path)
    trainer = replace(cell.config.trainer, threads=5)
    one = start(ECHO, 1, replace(cell, config=replace(cell.config, trainer=trainer)))
    wait(lambda: one.ended() is not None)
    assert one.last_words() == "True 5 3\n"


def test_a_cell_without_output_has_no_last_words(start: Start, tmp_path: Path) -> None:
    one = start("", 1)
    wait(lambda: one.ended() is not None)
    assert one.last_words() == ""
    (make_cell(tmp_path).folder / OUTPUT).unlink()
    assert one.last_words() == ""


ORPHANED = """
import os, signal, subprocess, sys
from functools import partial
from instruct_ablate.grid.launch.worker_process import _follow_parent
child = subprocess.Popen(["sleep", "60"], preexec_fn=partial(_follow_parent, int(sys.argv[1]) or os.getpid()))
print(child.pid, child.wait() if int(sys.argv[1]) else "", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def orphan(parent: int) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", ORPHANED, str(parent)]
    return subprocess.run(words, capture_output=True, text=True, env=environment, check=False).stdout.split()


def test_it_dies_with_the_pool_from_the_first_instruction_on() -> None:
    (pid,) = orphan(0)
    wait(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2])


def test_a_pool_that_died_before_is_noticed() -> None:
    assert orphan(999_999)[1] == str(128 + signal.SIGTERM)
