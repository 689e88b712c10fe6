from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.errors import UserError
from instruct_ablate.grid.launch import local_pool
from instruct_ablate.grid.launch.local_pool import Pool, Share, shares
from instruct_ablate.grid.planned_cell import Cell
from tests.grid.small import ROOT
from tests.standins import make_config, replace_inputs

WORKER = (sys.executable, "-m", "tests.grid.standin_worker")
TWO = [Share("0", 1), Share("1", 1)]


@pytest.fixture(autouse=True)
def _inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT}/src")


def make_cells(folder: Path, count: int = 3, **changes: object) -> list[Cell]:
    configs = [make_config(folder, seed=seed, **changes) for seed in range(count)]
    return [Cell((), config, identify(config)) for config in configs]


def found(cells: list[Cell]) -> list[CellRecord | None]:
    return [read_record(cell.folder, cell.identity.hash) for cell in cells]


def states(cells: list[Cell]) -> list[str]:
    return [record.state if record else "missing" for record in found(cells)]


def test_every_cell_has_a_process_a_gpu_and_its_share_of_threads(tmp_path: Path) -> None:
    cells = make_cells(tmp_path)
    Pool([Share("0", 3), Share("GPU-b", 3)], WORKER).run(cells)
    assert states(cells) == ["done"] * 3
    places = [json.loads((cell.folder / "environment.json").read_text()) for cell in cells]
    assert {place["CUDA_VISIBLE_DEVICES"] for place in places[:2]} == {"0", "GPU-b"}
    assert {place["OMP_NUM_THREADS"] for place in places} == {"3"}
    assert (cells[0].folder / "threads").read_text() == "3"


def test_a_killed_cell_is_recorded_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_0", "killed")
    cells = make_cells(tmp_path)
    Pool(TWO[:1], WORKER).run(cells)
    assert states(cells) == ["failed", "done", "done"]
    record = found(cells)[0]
    assert record is not None
    assert record.failure is not None
    assert record.failure.reason.startswith("killed by SIGKILL, as the kernel does when memory runs out")
    assert "these were my last words" in record.failure.traceback


def test_a_process_that_never_began_is_a_failure_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_MUTE", "1")
    cells = make_cells(tmp_path, 1)
    Pool(TWO, WORKER).run(cells)
    record = found(cells)[0]
    assert record is not None
    assert record.failure is not None
    assert record.failure.reason == "its process ended with exit status 1"
    assert "no such module" in record.failure.traceback


def processes(cells: list[Cell]) -> list[str]:
    return [(cell.folder / "process").read_text() for cell in cells]


@pytest.mark.parametrize(("cells_per_process", "expected"), [(1, "abcde"), (2, "aabbc"), (0, "aaaaa")])
def test_a_warm_process_runs_so_many_cells(tmp_path: Path, cells_per_process: int, expected: str) -> None:
    cells = make_cells(tmp_path, 5)
    Pool(TWO[:1], WORKER, cells_per_process).run(cells)
    assert states(cells) == ["done"] * 5
    ran = processes(cells)
    names = {process: "abcde"[place] for place, process in enumerate(dict.fromkeys(ran))}
    assert "".join(names[process] for process in ran) == expected


def test_a_killed_warm_process_fails_the_cell_it_ran_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_1", "killed")
    cells = make_cells(tmp_path, 4)
    Pool(TWO[:1], WORKER, 0).run(cells)
    assert states(cells) == ["done", "failed", "done", "done"]
    ran = processes(cells)
    assert ran[0] == ran[1] != ran[2] == ran[3]
    assert "these were my last words" in str(found(cells)[1])
    assert "these were my last words" not in (cells[2].folder / "output.txt").read_text()


def test_after_a_failure_the_next_cell_has_a_fresh_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_0", "broken")
    cells = make_cells(tmp_path)
    Pool(TWO[:1], WORKER, 0).run(cells)
    assert states(cells) == ["failed", "done", "done"]
    ran = processes(cells)
    assert ran[0] != ran[1] == ran[2]


def test_what_cannot_be_put_back_ends_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_LEFT", "1")
    cells = make_cells(tmp_path, 2)
    Pool(TWO[:1], WORKER, 0).run(cells)
    assert states(cells) == ["done", "done"]
    assert len(set(processes(cells))) == 2
    assert "a process of its own: a thread still runs" in (cells[0].folder / "output.txt").read_text()


def test_other_extensions_need_another_process(tmp_path: Path) -> None:
    cells = make_cells(tmp_path, 2)
    mine = tmp_path / "mine.py"
    mine.touch()
    other = replace(cells[1].config, extensions=[str(mine)])
    cells[1] = Cell((), other, identify(other))
    Pool(TWO[:1], WORKER, 0).run(cells)
    assert states(cells) == ["done", "done"]
    assert len(set(processes(cells))) == 2


def test_fail_fast_stops_a_warm_process_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_1", "broken")
    cells = make_cells(tmp_path, 4, fail_fast=True)
    with pytest.raises(SystemExit):
        Pool(TWO[:1], WORKER, 0).run(cells)
    assert states(cells) == ["done", "failed", "missing", "missing"]


def test_ctrl_c_stops_a_warm_process_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_1", "long")
    cells = make_cells(tmp_path, 3)
    threading.Thread(target=_press, args=(cells[1].folder / "began", 1), daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        Pool(TWO[:1], WORKER, 0).run(cells)
    assert states(cells) == ["done", "interrupted", "missing"]


def test_cells_per_process_is_checked() -> None:
    with pytest.raises(UserError, match=r"hydra\.launcher\.cells_per_process=-1: 1 \(a fresh process"):
        Pool(TWO, WORKER, -1)


def test_fail_fast_starts_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_0", "broken")
    cells = make_cells(tmp_path, fail_fast=True)
    with pytest.raises(SystemExit):
        Pool(TWO[:1], WORKER).run(cells)
    assert states(cells) == ["failed", "missing", "missing"]


@pytest.mark.parametrize(("times", "left"), [(1, "interrupted"), (2, "interrupted")])
def test_ctrl_c_stops_the_running_cells_and_starts_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, left: str
) -> None:
    monkeypatch.setenv("STANDIN_0", "long")
    cells = make_cells(tmp_path, 2)
    threading.Thread(target=_press, args=(cells[0].folder / "began", times), daemon=True).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Pool(TWO[:1], WORKER).run(cells)
    assert time.monotonic() - started < 50
    assert states(cells) == [left, "missing"]


def _press(sign: Path, times: int) -> None:
    while not sign.exists():
        time.sleep(0.05)
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)


def test_the_machine_is_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_pool.os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert shares(None) == [Share("2", 4), Share("5", 4)]
    assert [share.gpu for share in shares(3)] == ["2", "5", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert shares(None) == [Share(None, 4)] * 2
    assert shares(4, threads=1) == [Share(None, 1)] * 4
    with pytest.raises(UserError, match=r"hydra\.launcher\.n=0"):
        shares(0)


def test_gpus_are_found_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    class Told:
        stdout = "0\n1\n"

    def tell(*_: object, **__: object) -> Callable[[], Told]:
        return Told  # type: ignore[return-value]

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(local_pool.subprocess, "run", tell)
    assert local_pool.visible_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert local_pool.visible_gpus() == []


def test_gpus_of_a_container_without_nvidia_smi_are_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("nvidia3", "nvidia5", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(local_pool, "DEVICES", tmp_path)
    assert local_pool.visible_gpus() == ["0", "1"]
    monkeypatch.setattr(local_pool, "DEVICES", tmp_path / "none")
    assert local_pool.visible_gpus() == []


@pytest.mark.parametrize(
    ("gpus", "cores", "n", "threads", "expected"),
    [
        ([], 1, None, None, [(None, 1)]),
        ([], 8, None, None, [(None, 4)] * 2),  # one for four cores
        ([], 7, None, None, [(None, 7)]),
        ([], 2, 3, None, [(None, 1)] * 3),
        ([], 8, 2, 3, [(None, 3)] * 2),
        (["a", "b"], 8, None, None, [("a", 4), ("b", 4)]),
        (["a", "b"], 8, 3, None, [("a", 2), ("b", 2), ("a", 2)]),
        (["a", "b"], 8, 1, None, [("a", 8)]),
    ],
)
def test_a_machine_is_divided_by_its_gpus_or_cores(
    monkeypatch: pytest.MonkeyPatch,
    gpus: list[str],
    cores: int,
    n: int | None,
    threads: int | None,
    expected: list[tuple[str | None, int]],
) -> None:
    monkeypatch.setattr(local_pool, "visible_gpus", lambda: gpus)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)))
    assert shares(n, threads) == [Share(*share) for share in expected]
