from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from instruct_ablate.disk.fence import Fence, check_fence, fence, inside_fence, open_fence, shut


def refuse() -> None:
    raise PermissionError("lost")


def test_who_may_not_write_is_told_and_does_nothing(tmp_path: Path) -> None:
    assert check_fence(tmp_path / "deep" / "file") is None
    fence(tmp_path, Fence(3, lambda: None))
    assert check_fence(tmp_path / "deep" / "file") == 3
    assert check_fence(tmp_path.parent) is None
    fence(tmp_path, Fence(3, refuse))
    with pytest.raises(PermissionError, match="lost"), inside_fence(tmp_path / "deep" / "file"):
        pytest.fail("it was let in")
    open_fence(tmp_path)
    with inside_fence(tmp_path):
        pass


def test_nobody_shuts_the_gate_while_somebody_is_inside(tmp_path: Path) -> None:
    gate = tmp_path / "lock-1"
    gate.touch()
    fence(tmp_path, Fence(1, lambda: None, gate))
    try:
        with (
            inside_fence(tmp_path / "file"),
            inside_fence(tmp_path / "other"),
            pytest.raises(BlockingIOError),
            shut(gate),
        ):
            pytest.fail("it was shut")
        with shut(gate), pytest.raises(BlockingIOError), shut(gate):
            pytest.fail("it was shut twice")
    finally:
        open_fence(tmp_path)


def test_a_child_that_was_forked_inside_does_not_hold_it(tmp_path: Path) -> None:
    gate = tmp_path / "lock-1"
    gate.touch()
    fence(tmp_path, Fence(1, lambda: None, gate))
    reading, writing = os.pipe()
    try:
        with inside_fence(tmp_path):
            if (child := os.fork()) == 0:
                os.close(writing)
                os.read(reading, 1)
                os._exit(0)
        with shut(gate):
            pass
    finally:
        open_fence(tmp_path)
        os.close(writing)
        os.waitpid(child, 0)
        os.close(reading)


def test_a_gate_that_is_gone_or_a_file_system_without_locks_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shut(tmp_path / "gone"):
        pass
    (tmp_path / "lock-1").touch()

    def none(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", none)
    with shut(tmp_path / "lock-1"), shut(tmp_path / "lock-1"):
        pass
