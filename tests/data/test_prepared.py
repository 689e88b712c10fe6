from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from instruct_ablate.data.prepared import prepared
from instruct_ablate.errors import UserError

BUILDER = """
import sys, time
from pathlib import Path
from instruct_ablate.data.prepared import prepared

def build(folder):
    (folder / "half").write_text("one")
    print("building", flush=True)
    time.sleep(float(sys.argv[2]))
    (folder / "whole").write_text("two")

prepared(Path(sys.argv[1]), build)
print("there", flush=True)
"""


def start(folder: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILDER, str(folder), str(seconds)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def write(folder: Path) -> None:
    (folder / "whole").write_text("two")


def test_builds_once(tmp_path: Path) -> None:
    calls: list[Path] = []

    def build(folder: Path) -> None:
        calls.append(folder)
        write(folder)

    assert prepared(tmp_path / "deep" / "x", build) == prepared(tmp_path / "deep" / "x", build)
    assert len(calls) == 1
    assert calls[0].name != "x"  # a temporary name
    assert (tmp_path / "deep" / "x" / "whole").read_text() == "two"


def test_of_two_processes_one_builds_and_the_other_waits(tmp_path: Path) -> None:
    both = [start(tmp_path / "x", 1.0) for _ in range(2)]
    said = [process.communicate(timeout=60)[0].split() for process in both]
    assert sorted(said) == [["building", "there"], ["there"]]


def test_a_killed_builder_leaves_nothing_half_made(tmp_path: Path) -> None:
    process = start(tmp_path / "x", 60)
    assert process.stdout is not None
    assert process.stdout.readline() == "building\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "x").exists()
    prepared(tmp_path / "x", write)
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["whole"]
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_failing_builder_leaves_nothing(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        write(folder)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        prepared(tmp_path / "x", build)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match=r"disk is full.*cache="):
        prepared(tmp_path / "x", build)


def test_other_system_errors_pass(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        raise PermissionError("not yours")

    with pytest.raises(PermissionError):
        prepared(tmp_path / "x", build)
