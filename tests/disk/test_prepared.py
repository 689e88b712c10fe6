from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from instruct_ablate.disk.prepared import damage, prepared, prepared_as
from instruct_ablate.errors import UserError

BUILDER = """
import sys, time
from pathlib import Path
from instruct_ablate.disk.prepared import prepared

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
    said = [process.communicate(timeout=200)[0].split() for process in both]
    assert sorted(said) == [["building", "there"], ["there"]]


def test_a_killed_builder_leaves_nothing_half_made(tmp_path: Path) -> None:
    process = start(tmp_path / "x", 60)
    assert process.stdout is not None
    assert process.stdout.readline() == "building\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "x").exists()
    prepared(tmp_path / "x", write)
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["manifest.json", "whole"]
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


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _become(kind: str) -> Callable[[Path], None]:
    def become(path: Path) -> None:
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "link":
            path.symlink_to("/etc/hostname")
        elif kind == "pipe":
            os.mkfifo(path)

    return become


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": _truncate,
    "emptied": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(os.urandom(path.stat().st_size)),
    "flipped": _flip,
    **{kind: _become(kind) for kind in ("removed", "folder", "link", "pipe")},
}


@pytest.mark.parametrize("name", ["whole", "manifest.json"])
@pytest.mark.parametrize("damaged", DAMAGES)
def test_what_is_damaged_is_put_aside_said_and_built_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, damaged: str
) -> None:
    folder = prepared(tmp_path / "x", write)
    DAMAGES[damaged](folder / name)
    assert damage(folder)
    assert (prepared(folder, write) / "whole").read_text() == "two"
    assert damage(folder) is None
    assert f"{folder} is damaged" in caplog.text
    assert (tmp_path / "x.damaged-1").is_dir()
    assert (prepared(folder, _never) / "whole").read_text() == "two"


def _never(folder: Path) -> None:
    pytest.fail("built again")


@pytest.mark.parametrize("kind", ["link", "pipe", "removed"])
def test_the_folder_itself_may_be_something_else(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "x"
    folder.touch()
    _become(kind)(folder)
    assert (prepared(folder, write) / "whole").read_text() == "two"
    assert not folder.is_symlink()


def test_a_folder_that_cannot_be_read_is_built_again(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "x", lambda new: (new / "number").write_text("one") and None)
    text = prepared_as(
        folder,
        lambda new: (new / "number").write_text("2") and None,
        lambda x: int((x / "number").read_text()),
    )
    assert text == 2


def test_a_failing_repair_leaves_the_damaged_one(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "x", write)
    _truncate(folder / "whole")
    with pytest.raises(ZeroDivisionError):
        prepared(folder, lambda new: 1 / 0 and None)
    assert (folder / "whole").exists()
    assert (prepared(folder, write) / "whole").read_text() == "two"


def test_a_large_folder_is_compared_whole_when_touched_or_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instruct_ablate.disk.prepared.SMALL", 0)
    folder = prepared(tmp_path / "x", write)
    before = (folder / "whole").stat()
    (folder / "whole").write_text("tWo")
    os.utime(folder / "whole", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert damage(folder) is None  # the disk itself flipped a bit
    assert damage(folder, whole=True)
    os.utime(folder / "whole", ns=(5, 5))
    assert damage(folder)


def test_a_copied_folder_is_the_same_and_soon_quick_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instruct_ablate.disk.prepared.SMALL", 0)
    folder = prepared(tmp_path / "x", write)
    os.utime(folder / "whole", ns=(5, 5))
    prepared(folder, _never)
    monkeypatch.setattr("instruct_ablate.disk.prepared.sha256_of", _never)
    prepared(folder, _never)


def test_files_and_folder_reach_the_disk_before_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    prepared(tmp_path / "x", write)
    names = [path.rpartition("/")[2].split(".")[0] for path in synced]
    assert "whole" in names
    assert synced[-1] == str(tmp_path)
    assert str(tmp_path / ".x.unfinished") in synced
