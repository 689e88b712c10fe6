from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.state import lock
from instruct_ablate.cell.state.heartbeat import read_beat, this_process
from instruct_ablate.cell.state.lock import LockedError, acquire, holder, locked, release
from instruct_ablate.disk.fence import open_fence
from instruct_ablate.disk.learning_curve import append_row
from instruct_ablate.disk.whole_files import write_whole

CONTEXT = multiprocessing.get_context("fork")


def dead(folder: Path, owner: object) -> bool:
    return True


def run(target: Callable[..., None], *arguments: Any) -> Any:
    process = CONTEXT.Process(target=target, args=arguments)
    process.start()
    return process


def test_the_lock_is_held_named_and_given_back(tmp_path: Path) -> None:
    with locked(tmp_path) as alive:
        assert holder(tmp_path) == alive.owner
        with pytest.raises(LockedError, match=rf"is being run by process {os.getpid()} on "):
            acquire(tmp_path)
    assert holder(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["lock-1"]  # free: generations never start again


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    process = run(acquire, tmp_path)
    process.join()
    assert holder(tmp_path) is not None
    with locked(tmp_path) as alive:
        assert holder(tmp_path) == alive.owner
        assert sorted(path.name for path in tmp_path.iterdir()) == ["heartbeat", "lock-2"]


def test_the_lock_of_a_living_process_elsewhere_is_respected(tmp_path: Path) -> None:
    far = replace(this_process(), host="node7", pid=42, token="t")
    assert lock._make(tmp_path, 1, far)
    with pytest.raises(LockedError, match="process 42 on node7"):
        acquire(tmp_path, lambda folder, owner: False)


def test_a_lock_that_was_taken_over_is_not_released_by_its_first_owner(tmp_path: Path) -> None:
    first = acquire(tmp_path)
    second = acquire(tmp_path, dead)
    release(tmp_path, first)
    assert holder(tmp_path) == second


@pytest.mark.parametrize("content", ["{", ""])
def test_an_unreadable_lock_is_taken_over_when_it_is_old(tmp_path: Path, content: str) -> None:
    (tmp_path / "lock-1").write_text(content)
    with pytest.raises(LockedError):
        acquire(tmp_path)  # it may be being written, on a file system without links
    os.utime(tmp_path / "lock-1", (1, 1))
    owner = acquire(tmp_path)
    assert holder(tmp_path) == owner


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_what_is_no_lock_file_is_taken_over_when_it_is_old(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "lock-1"
    {"folder": path.mkdir, "link": lambda: path.symlink_to(tmp_path), "pipe": lambda: os.mkfifo(path)}[kind]()
    os.utime(path, (1, 1), follow_symlinks=False)
    owner = acquire(tmp_path)
    assert holder(tmp_path) == owner
    assert lock._generations(tmp_path) == [2]


def test_a_lock_that_may_not_be_read_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of another user of the group: root, who may read all, is told that it may not."""

    def refuse(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "not yours", str(path))

    acquire(tmp_path)
    os.utime(tmp_path / "lock-1", (1, 1))
    monkeypatch.setattr(lock, "read_plain", refuse)
    with pytest.raises(LockedError, match="is being run by another process"):
        acquire(tmp_path, dead)
    assert holder(tmp_path) == lock.UNKNOWN


def test_the_lock_can_be_read_by_whoever_reads_the_folder(tmp_path: Path) -> None:
    for mode, file in ((0o755, 0o644), (0o775, 0o664), (0o700, 0o600)):
        folder = tmp_path / str(mode)
        folder.mkdir()
        folder.chmod(mode)
        with locked(folder):
            for name in ("lock-1", "heartbeat"):
                assert (folder / name).stat().st_mode & 0o777 == file


def test_generations_never_start_again(tmp_path: Path) -> None:
    for generation in (1, 2, 3):
        with locked(tmp_path):
            assert lock._generations(tmp_path) == [generation]
    assert lock._generations(tmp_path) == [3]


def test_whatever_holds_the_lock_beats(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert read_beat(tmp_path) is not None
    assert read_beat(tmp_path) is None


def test_who_was_taken_over_writes_nothing_more(tmp_path: Path) -> None:
    first = acquire(tmp_path)
    write_whole(tmp_path / "record.json", "first")
    append_row(tmp_path / "training.jsonl", {"step": 1})
    _in_another_process(tmp_path)
    for attempt in (
        lambda: write_whole(tmp_path / "record.json", "woken"),
        lambda: write_whole(tmp_path / "checkpoints" / "step-1.ckpt", "woken"),
        lambda: append_row(tmp_path / "training.jsonl", {"step": 2}),
    ):
        with pytest.raises(LockedError, match="which stops here"):
            attempt()
    release(tmp_path, first)
    assert (tmp_path / "record.json").read_text() == "second"
    assert (tmp_path / "training.jsonl").read_text() == '{"step": 1}\n'
    assert lock._generations(tmp_path) == [2]
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".tmp")]


def test_who_was_taken_over_leaves_the_heartbeat(tmp_path: Path) -> None:
    with locked(tmp_path):
        _in_another_process(tmp_path)
        (tmp_path / "heartbeat").write_text("the second's")
    assert (tmp_path / "heartbeat").read_text() == "the second's"


def test_a_lock_that_was_removed_is_lost(tmp_path: Path) -> None:
    acquire(tmp_path)
    (tmp_path / "lock-1").unlink()
    with pytest.raises(LockedError):
        write_whole(tmp_path / "record.json", "one")


def _take_over(folder: Path) -> None:
    open_fence(folder)  # a process of its own would not have inherited it
    acquire(folder, dead)
    write_whole(folder / "record.json", "second")


def _in_another_process(folder: Path) -> None:
    process = run(_take_over, folder)
    process.join()
    assert process.exitcode == 0


def test_who_comes_late_with_an_old_view_stands_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acquire(tmp_path, dead)
    stale_view = [lock._generations(tmp_path)]
    current = acquire(tmp_path, dead)  # somebody takes over in the meantime ...
    real = lock._generations
    monkeypatch.setattr(lock, "_generations", lambda folder: stale_view.pop() if stale_view else real(folder))
    with pytest.raises(LockedError):
        acquire(tmp_path, dead)  # ... and the late one judged the old owner, not the new one
    assert holder(tmp_path) == current


def test_file_systems_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "no links")

    monkeypatch.setattr(os, "link", refuse)
    with locked(tmp_path) as alive:
        assert holder(tmp_path) == alive.owner
        with pytest.raises(LockedError):
            acquire(tmp_path)


def _contend(folder: Path, results: Any, barrier: Any) -> None:
    barrier.wait(200)
    try:
        owner = acquire(folder)
    except LockedError:
        results.put(0)
        barrier.wait(200)
        return
    results.put(1)
    barrier.wait(200)  # the winner holds it until all have tried, however slow the machine is
    release(folder, owner)


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_processes_at_most_one_gets_it(tmp_path: Path, stale: bool) -> None:
    if stale:
        run(acquire, tmp_path).join()
    results = CONTEXT.Queue()
    barrier = CONTEXT.Barrier(8)
    processes = [run(_contend, tmp_path, results, barrier) for _ in range(8)]
    won = sum(results.get(timeout=200) for _ in processes)
    for process in processes:
        process.join()
    assert won == 1


def _lock_forever(folder: Path) -> None:
    while True:
        release(folder, acquire(folder))


def test_sigkill_at_any_moment_leaves_a_lock_that_can_be_taken(tmp_path: Path) -> None:
    for delay in (0.005, 0.011, 0.017, 0.029):
        process = run(_lock_forever, tmp_path)
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        with locked(tmp_path) as alive:
            assert holder(tmp_path) == alive.owner
