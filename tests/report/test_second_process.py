from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from instruct_ablate.report import second_process
from instruct_ablate.report.report import write_report
from instruct_ablate.report.second_process import Beside, can_fork

STUDY = Path(__file__).parents[1] / "goldens" / "old_study"


@pytest.fixture
def forking(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a command's process, which this one may not be."""
    monkeypatch.setattr(second_process, "can_fork", lambda: True)


def test_what_is_worked_out_beside_comes_back(forking: None) -> None:
    here = os.getpid()
    one, other = Beside(os.getpid), Beside(lambda: {"text": "é" * 10_000_000})
    assert one.result() != here
    assert other.result() == {"text": "é" * 10_000_000}, "longer than a pipe holds"


def test_where_no_copy_of_a_process_can_work_it_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_process, "can_fork", lambda: False)
    assert Beside(os.getpid).result() == os.getpid()


def test_what_has_ended_leaves_no_child(forking: None) -> None:
    before = set(multiprocessing.active_children())
    Beside(os.getpid).result()
    assert set(multiprocessing.active_children()) <= before
    with pytest.raises(ChildProcessError):
        os.waitpid(Beside(os.getpid).result(), os.WNOHANG)


def test_what_dies_there_is_done_here(forking: None) -> None:
    here = os.getpid()

    def work() -> int:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid()

    assert Beside(work).result() == here


def test_a_fault_is_raised_here(forking: None) -> None:
    def work() -> int:
        raise ValueError("as it was said")

    with pytest.raises(ValueError, match="as it was said"):
        Beside(work).result()


def test_what_hangs_is_done_here(forking: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_process, "LONGEST", 0.05)
    here = os.getpid()

    def work() -> int:
        while os.getpid() != here:
            signal.pause()
        return here

    assert Beside(work).result() == here


@pytest.mark.parametrize(
    ("before", "safe"),
    [
        ("", True),
        ("sys.modules['torch'] = sys", False),
        ("threading.Thread(target=time.sleep, args=(9,), daemon=True).start()", False),
    ],
)
def test_a_process_is_copied_where_it_has_one_thread_and_no_torch(before: str, safe: bool) -> None:
    program = (
        "import os, sys, threading, time; from instruct_ablate.report.second_process import can_fork; "
        f"os.cpu_count = lambda: 2; {before or 'pass'}; print(can_fork(), flush=True)"
    )
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, check=True, input="\n")
    assert done.stdout.split() == [str(safe)]


def test_one_core_does_one_thing_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert not can_fork()


def test_a_report_has_the_same_bytes_with_and_without_a_second_process(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import os, sys; os.cpu_count = lambda: 2; "
             "from pathlib import Path; from instruct_ablate.report.report import write_report; "
             "write_report(Path(sys.argv[1]), Path(sys.argv[2]))"]  # fmt: skip
    subprocess.run([*words, str(STUDY), str(tmp_path / "beside")], check=True)
    write_report(STUDY, tmp_path / "here")
    left, right = (
        {path.relative_to(top): path.read_bytes() for path in top.rglob("*") if path.is_file()}
        for top in (tmp_path / "beside", tmp_path / "here")
    )
    assert left.keys() == right.keys()
    assert [path for path in left if left[path] != right[path]] == []
