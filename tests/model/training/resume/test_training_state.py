from __future__ import annotations

import errno
import logging
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from instruct_ablate.errors import Interrupted, UserError
from instruct_ablate.model.training.resume.training_state import StopRequest, latest, read, save, steps, write


def state(step: int) -> dict[str, Any]:
    return {"step": step, "masters": [torch.full((200,), float(step))]}


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    for step in (9, 10, 11):
        save(tmp_path, state(step))
    assert [path.name for path in steps(tmp_path)] == ["step-00000010.ckpt", "step-00000011.ckpt"]
    newest = latest(tmp_path)
    assert newest is not None
    assert newest["step"] == 11
    assert newest["masters"][0][0] == 11


def test_nothing_saved_is_no_state(tmp_path: Path) -> None:
    assert latest(tmp_path) is None
    assert latest(tmp_path / "missing") is None
    assert read(tmp_path / "step-1.ckpt") is None


@pytest.mark.parametrize("left", [0, 10, 500])
def test_a_cut_checkpoint_gives_way_to_the_one_before(
    left: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (1, 2):
        save(tmp_path, state(step))
    newest = steps(tmp_path)[-1]
    newest.write_bytes(newest.read_bytes()[:left])
    with caplog.at_level(logging.WARNING):
        found = latest(tmp_path)
    assert found is not None
    assert found["step"] == 1
    assert "step-00000002.ckpt is damaged" in caplog.text
    assert newest.with_suffix(".damaged").exists()
    assert not newest.exists()


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "trapped",)

    torch.save({"step": 1, "trap": Trap()}, tmp_path / "step-00000001.ckpt")
    assert latest(tmp_path) is None
    assert not (tmp_path / "trapped").exists()


def test_what_a_killed_writer_left_is_not_read(tmp_path: Path) -> None:
    save(tmp_path, state(1))
    (tmp_path / "step-00000002.123.tmp").write_bytes(b"half")
    (tmp_path / "step-9x.ckpt").write_bytes(b"foreign")
    assert len(steps(tmp_path)) == 1


def test_a_full_disk_is_told_and_leaves_nothing_half_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, state(1))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"step-00000002.ckpt: the disk is full"):
        save(tmp_path, state(2))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001.ckpt"]


def test_write_makes_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "new" / "trained.ckpt", state(3))
    found = read(tmp_path / "new" / "trained.ckpt")
    assert found is not None
    assert found["step"] == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2, signal.SIGINT])
def test_signals_are_noted_and_given_back(number: signal.Signals) -> None:
    before, stop = signal.getsignal(number), StopRequest()
    with stop.listening():
        assert stop.reason is None
        os.kill(os.getpid(), number)
        assert stop.reason == number.name
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_is_at_once() -> None:
    stop = StopRequest()
    with stop.listening():
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.reason == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_launcher_that_requeues_hears_of_the_signal() -> None:
    heard: list[int] = []

    def requeue(number: int, frame: Any) -> None:
        heard.append(number)

    requeue.__module__ = "submitit.core.job_environment"
    former = signal.signal(signal.SIGUSR2, requeue)
    try:
        stop = StopRequest()
        with stop.listening():
            os.kill(os.getpid(), signal.SIGUSR2)
        assert heard == [signal.SIGUSR2]
        assert stop.reason == "SIGUSR2"
    finally:
        signal.signal(signal.SIGUSR2, former)


def test_another_thread_cannot_listen_and_goes_on() -> None:
    stop, passed = StopRequest(), []

    def run() -> None:
        with stop.listening():
            passed.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert passed == [True]


@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_what_is_no_plain_file_is_passed_over(tmp_path: Path, kind: str) -> None:
    save(tmp_path, state(1))
    save(tmp_path, state(2))
    newest = steps(tmp_path)[-1]
    newest.rename(tmp_path / "elsewhere")
    {
        "pipe": lambda: os.mkfifo(newest),
        "folder": newest.mkdir,
        "link": lambda: newest.symlink_to(tmp_path / "elsewhere"),
    }[kind]()
    before = latest(tmp_path)
    assert before is not None
    assert before["step"] == 1
    assert [path.name for path in steps(tmp_path)] == ["step-00000001.ckpt"]


def test_a_stop_while_reading_leaves_a_sound_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, state(1))

    def stopped(*args: Any, **kwargs: Any) -> None:
        raise Interrupted("told to stop")

    with monkeypatch.context() as patched:
        patched.setattr(torch, "load", stopped)
        with pytest.raises(Interrupted):
            latest(tmp_path)
    found = latest(tmp_path)
    assert found is not None
    assert found["step"] == 1
