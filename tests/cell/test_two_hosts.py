"""Two hosts and one cell: one is suspended, taken for dead, and wakes after the other has done the cell."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from instruct_ablate.disk.fence import shut
from tests.cell import standin_host

MOMENTS = 10  # at which the first host is suspended, spread over its run


def start(folder: Path, host: str, pause: float, *more: str) -> subprocess.Popen[str]:
    words = [sys.executable, standin_host.__file__, str(folder), host, str(pause), *more]
    command = ["unshare", "--uts", "sh", "-c", f'hostname {host} && exec "$@"', "sh", *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


@pytest.fixture(autouse=True)
def _hosts() -> None:
    if subprocess.run(["unshare", "--uts", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to make UTS namespaces")


def contents(folder: Path) -> dict[str, str]:
    """Every file of a study with its hash.

    The log aside, in which a host that lost its cell says so, and temporary names: the first host may have been
    suspended between writing its heartbeat and renaming it.
    """
    every = (path for path in folder.rglob("*") if path.is_file() and "cache" not in path.parts)
    files = [path for path in every if path.name != "log.txt" and path.suffix != ".tmp"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def progressed(folder: Path, share: float) -> bool:
    """Whether the first host has written that share of its rows and predictions."""
    lines = 0
    for path in folder.rglob("*.jsonl*"):
        with contextlib.suppress(FileNotFoundError):  # a temporary name that has been renamed meanwhile
            lines += len(path.read_text().splitlines())
    return lines >= share * 2 * standin_host.ROWS


def suspend(process: subprocess.Popen[str], folder: Path, share: float) -> None:
    end = time.monotonic() + 200
    while not (any(folder.rglob("lock-*")) and progressed(folder, share)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)
    stop(process)
    while inside(folder):  # there nobody may take over: the test below is of that
        process.send_signal(signal.SIGCONT)
        time.sleep(0.005)
        stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGSTOP)
    suspended(process)


def inside(folder: Path) -> bool:
    """Whether the suspended process stands between question and rename."""
    try:
        with shut(max(folder.rglob("lock-*"))):
            return False
    except BlockingIOError:
        return True


@pytest.mark.parametrize(
    "moment", [6, *(pytest.param(n, marks=pytest.mark.slow) for n in range(MOMENTS) if n != 6)]
)
def test_a_woken_host_leaves_the_cell_that_it_lost(tmp_path: Path, moment: int) -> None:
    first = start(tmp_path, "one", 0.08)
    suspend(first, tmp_path, moment / MOMENTS)
    end, said = time.monotonic() + 200, "running"
    while said != "done two" and time.monotonic() < end:  # until the first one's last beat is old enough
        said = start(tmp_path, "two", 0.0).communicate(timeout=200)[0].splitlines()[-1]
    assert said == "done two"
    after = contents(tmp_path)
    first.send_signal(signal.SIGCONT)
    said, told = first.communicate(timeout=200)
    assert said.splitlines()[-1] == "done two", "it reports the cell as the other host has done it"
    told += "".join(path.read_text() for path in tmp_path.rglob("log.txt"))  # where a cell's log is open
    if moment:  # before its first row it may not have looked yet whose the cell is, and finds it done
        assert "which stops here" in told or "is being run by" in told
    assert contents(tmp_path) == after
    written = {path.name: len(path.read_text().splitlines()) for path in tmp_path.rglob("*.jsonl*")}
    assert written == {"original.jsonl": standin_host.ROWS, "training.jsonl": standin_host.ROWS}
    assert not list(tmp_path.rglob("*.ckpt"))


RENAMES = (("record.json", "2"), ("record.json", "1"), ("original.jsonl", "1"), ("step-00000012.ckpt", "1"))


@pytest.mark.parametrize("end", [signal.SIGCONT, signal.SIGKILL])
@pytest.mark.parametrize(
    ("name", "place"), [RENAMES[0], *(pytest.param(*one, marks=pytest.mark.slow) for one in RENAMES[1:])]
)
def test_nobody_takes_over_between_the_question_and_the_rename(
    tmp_path: Path, name: str, place: str, end: signal.Signals
) -> None:
    first = start(tmp_path, "one", 0.0, name, place)
    suspended(first)
    (beat,) = tmp_path.rglob("heartbeat")
    os.utime(beat, (1, 1))  # long ago
    before = contents(tmp_path)
    told, why = start(tmp_path, "two", 0.0).communicate(timeout=200)
    assert "done" not in told
    assert "is being run by" in why
    assert contents(tmp_path) == before
    first.send_signal(end)
    told, _ = first.communicate(timeout=200)
    assert told.split() == (["done", "one"] if end == signal.SIGCONT else [])
    winner = "one" if end == signal.SIGCONT else "two"
    assert start(tmp_path, "two", 0.0).communicate(timeout=200)[0].split() == ["done", winner]
    written = {path.name: len(path.read_text().splitlines()) for path in tmp_path.rglob("*.jsonl*")}
    assert written == {"original.jsonl": standin_host.ROWS, "training.jsonl": standin_host.ROWS}


def suspended(process: subprocess.Popen[str]) -> None:
    """Wait until a process has stopped itself."""
    end = time.monotonic() + 200
    while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)
