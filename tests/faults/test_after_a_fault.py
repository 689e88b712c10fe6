"""After each fault the same command again: the grid's table is the undisturbed one, nothing done was redone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state import store
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.schema import LoggerConfig
from tests.cell.test_faults import done, grid, run_all, start
from tests.grid.small import LONG, outcome, records, states, sweep
from tests.grid.small import start as start_sweep

pytestmark = pytest.mark.slow
STEPS = 40


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, CellRecord]]:
    """The grid, undisturbed: its folder (with the cache that the others use too) and its cells."""
    folder = tmp_path_factory.mktemp("whole")
    run_all(grid(folder, folder / "cache", "whole"))
    found = done(folder / "whole")
    assert len(found) == 4
    return folder, found


def same(found: dict[str, CellRecord], expected: dict[str, CellRecord]) -> bool:
    return {name: record.blocks for name, record in found.items()} == {
        name: record.blocks for name, record in expected.items()
    }


def test_a_record_that_cannot_be_read_is_put_aside_and_its_cell_runs_again(
    tmp_path: Path, whole: tuple[Path, dict[str, CellRecord]]
) -> None:
    configs = grid(tmp_path, whole[0] / "cache", "s")
    run_all(configs)
    before = done(tmp_path / "s")
    victim = sorted(before)[0]
    path = tmp_path / "s" / victim / "record.json"
    path.write_bytes(path.read_bytes()[:-200])
    assert victim not in done(tmp_path / "s")
    run_all(configs)
    after = done(tmp_path / "s")
    assert same(after, whole[1])
    assert (tmp_path / "s" / victim / "record.corrupt-1.json").exists()
    assert {name for name in before if before[name].finished == after[name].finished} == before.keys() - {
        victim
    }


def test_a_truncated_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    words = (*LONG, f"trainer.max_steps={STEPS}", "trainer.checkpoint_every_steps=5")
    assert sweep(tmp_path, *words, "study=whole").returncode == 0
    running = start_sweep(tmp_path, *words)
    cell = _training(tmp_path, 12)
    running.kill()
    running.wait()
    newest = sorted(cell.glob("checkpoints/step-*.ckpt"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    again = sweep(tmp_path, *words)
    assert again.returncode == 0, again.stderr
    log = (cell / "log.txt").read_text()
    assert f"the checkpoint {newest.name} is damaged" in log
    assert "going on after step" in log
    assert outcome(tmp_path) == outcome(tmp_path, "whole")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_goes_on_from_the_same_step(tmp_path: Path, number: signal.Signals) -> None:
    words = (*LONG, f"trainer.max_steps={STEPS}")
    assert sweep(tmp_path, *words, "study=whole").returncode == 0
    running = start_sweep(tmp_path, *words)
    cell = _training(tmp_path, 5)
    running.send_signal(number)
    assert running.wait(timeout=400) != 0
    assert states(tmp_path) == ["interrupted"]
    assert list(cell.glob("checkpoints/step-*.ckpt"))
    assert sweep(tmp_path, *words).returncode == 0
    assert outcome(tmp_path) == outcome(tmp_path, "whole")


def _training(folder: Path, steps: int) -> Path:
    """Wait until the only cell of the study has taken so many steps; return its folder."""
    limit = time.monotonic() + 400
    while time.monotonic() < limit:
        for curve in folder.glob("multirun/ablation/*/training.jsonl"):
            if curve.read_text().count("\n") >= steps:
                return curve.parent
        time.sleep(0.02)
    raise AssertionError("training did not begin")


def test_two_sweeps_of_one_study_at_once_run_every_cell_once(
    tmp_path: Path, whole: tuple[Path, dict[str, CellRecord]]
) -> None:
    configs = grid(tmp_path, whole[0] / "cache", "s")
    both = [start(configs), start(list(reversed(configs)))]
    for process in both:
        process.join()
    run_all(configs)  # a cell that the other sweep was busy with when this one came to it
    assert same(done(tmp_path / "s"), whole[1])
    for path in (tmp_path / "s").glob("*/training.jsonl"):
        steps = [line.partition(",")[0] for line in path.read_text().splitlines()]
        assert len(steps) == len(set(steps))


def test_a_clock_that_jumps_changes_nothing(
    tmp_path: Path, whole: tuple[Path, dict[str, CellRecord]], monkeypatch: pytest.MonkeyPatch
) -> None:
    true, jumps = time.time, iter([0, 86400, -86400, 3600] * 10_000)
    monkeypatch.setattr(time, "time", lambda: true() + next(jumps))
    configs = grid(tmp_path, whole[0] / "cache", "s")
    run_all(configs)
    run_all(configs)
    assert same(done(tmp_path / "s"), whole[1])
    assert not list((tmp_path / "s").glob("*/record.corrupt*"))


def test_a_hanging_cell_is_ended_and_the_others_go_on(
    tmp_path: Path, whole: tuple[Path, dict[str, CellRecord]], monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = grid(tmp_path, whole[0] / "cache", "s")
    with monkeypatch.context() as patch:
        hanging = "instruct_ablate.cell.run.training_data.training_data"
        patch.setattr(hanging, lambda *_: time.sleep(60))
        record = run_cell(replace(configs[0], cell_timeout=1 / 3600))
    assert record.state == "failed"
    assert record.failure is not None
    assert "took longer than cell_timeout" in record.failure.reason
    run_all(configs)
    assert same(done(tmp_path / "s"), whole[1])


def test_a_full_disk_is_told_and_once_there_is_room_the_cell_goes_on(
    tmp_path: Path, whole: tuple[Path, dict[str, CellRecord]]
) -> None:
    place = tmp_path / "small"
    place.mkdir()
    _mount(place, "size=200k")
    try:
        configs = grid(place, whole[0] / "cache", "s")
        run_all(configs)
        failed = [read_record(path.parent) for path in place.glob("s/*/record.json")]
        assert len(done(place / "s")) < 4
        reasons = [record.failure.reason for record in failed if record and record.failure]
        assert any("space" in reason or "full" in reason for reason in reasons), reasons
        subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
        run_all(configs)
        assert same(done(place / "s"), whole[1])
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)


def test_a_read_only_study_is_one_clear_message(tmp_path: Path) -> None:
    place = tmp_path / "multirun"
    place.mkdir()
    _mount(place, "ro")
    try:
        run = sweep(tmp_path, *LONG)
        assert run.returncode == 2
        assert "the file system is read-only; choose another folder with output=PATH" in run.stderr
        assert "Traceback" not in run.stderr
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)


def _mount(place: Path, options: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("a small file system can be mounted by root only")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=False)
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")


def test_a_cell_killed_in_a_pool_is_recorded_and_runs_again(tmp_path: Path) -> None:
    words = (*LONG, f"trainer.max_steps={STEPS}", "hydra/launcher=local_pool")
    running = start_sweep(tmp_path, *words)
    cell = _training(tmp_path, 5)
    record = read_record(cell)
    owner = store.holder(cell)
    assert record is not None
    assert owner is not None
    os.kill(owner.pid, signal.SIGKILL)
    output, _ = running.communicate(timeout=400)
    assert running.returncode == 1
    assert "killed by SIGKILL" in output
    assert states(tmp_path) == ["failed"]
    assert sweep(tmp_path, *words).returncode == 0
    (after,) = records(tmp_path).values()
    assert after.state == "done"


def test_a_warm_process_that_is_killed_takes_one_cell_with_it(tmp_path: Path) -> None:
    warm = ("hydra/launcher=local_pool", "hydra.launcher.n=1", "hydra.launcher.cells_per_process=0")
    words = (*LONG, "seed=0,1,2", f"trainer.max_steps={STEPS}")
    running = start_sweep(tmp_path, *words, *warm)
    _until(lambda: len(list(tmp_path.glob("multirun/ablation/*/training.jsonl"))) == 2)
    _until(lambda: any(_steps(path) >= 5 for path in _running(tmp_path)))
    (cell,) = _running(tmp_path)
    owner = store.holder(cell)
    assert owner is not None
    os.kill(owner.pid, signal.SIGKILL)
    output, _ = running.communicate(timeout=400)
    assert running.returncode == 1
    assert "killed by SIGKILL" in output
    assert states(tmp_path) == ["done", "done", "failed"]
    before = {name: record.finished for name, record in records(tmp_path).items() if record.state == "done"}
    assert sweep(tmp_path, *words, *warm).returncode == 0
    assert {name: records(tmp_path)[name].finished for name in before} == before
    assert sweep(tmp_path, *words, "study=whole").returncode == 0
    assert outcome(tmp_path) == outcome(tmp_path, "whole")


def _until(reached: Callable[[], bool]) -> None:
    limit = time.monotonic() + 400
    while not reached():
        assert time.monotonic() < limit, "it took too long"
        time.sleep(0.02)


def _running(folder: Path) -> list[Path]:
    """The cells that a process holds and trains."""
    curves = folder.glob("multirun/ablation/*/training.jsonl")
    return [path.parent for path in curves if store.holder(path.parent) is not None]


def _steps(cell: Path) -> int:
    return (cell / "training.jsonl").read_text().count("\n")


def test_weights_and_biases_out_of_reach_stop_nothing(
    tmp_path: Path, whole: tuple[Path, dict[str, CellRecord]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "5")
    mirrored = LoggerConfig("wandb", mode="online")
    configs = [replace(config, logger=mirrored) for config in grid(tmp_path, whole[0] / "cache", "s")]
    run_all(configs[:1] + configs[-1:])
    found = done(tmp_path / "s")
    assert len(found) == 2
    assert same(found, {name: whole[1][name] for name in found})
