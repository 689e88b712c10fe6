from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from instruct_ablate.cell.run.stopping import HOURS, TimedOutError, interruptible, time_limit
from instruct_ablate.errors import Interrupted


def nothing(reason: str) -> None:
    raise AssertionError(reason)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_signals_interrupt_and_are_given_back(number: signal.Signals) -> None:
    def told() -> None:
        with interruptible():
            os.kill(os.getpid(), number)
            time.sleep(1)

    with pytest.raises(Interrupted, match=number.name):
        told()
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_launchers_own_handler_is_left_alone() -> None:
    def mine(*_: object) -> None: ...

    before = signal.signal(signal.SIGUSR2, mine)
    try:
        with interruptible():
            assert signal.getsignal(signal.SIGUSR2) is mine
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_threads_have_no_signals() -> None:
    def run() -> None:
        with interruptible(), time_limit(1.0, nothing):
            pass

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def test_the_time_limit_raises() -> None:
    with pytest.raises(TimedOutError, match="cell_timeout"), time_limit(0.1 / 3600, nothing):
        time.sleep(5)


def test_in_time_nothing_happens() -> None:
    with time_limit(1.0, nothing):
        pass
    with time_limit(None, nothing):
        pass
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_cell_that_hangs_ends_with_its_process_and_the_reason_is_kept(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time; from pathlib import Path; from instruct_ablate.cell.run.stopping import time_limit\n"
        f"told = lambda reason: Path({str(tmp_path / 'told')!r}).write_text(reason)\n"
        "with time_limit(0.1 / 3600, told, grace=0.2):\n"
        "    signal.signal(signal.SIGALRM, signal.SIG_IGN)\n"
        "    time.sleep(60)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 124
    assert "did not react" in (tmp_path / "told").read_text()


@pytest.mark.parametrize(
    ("hours", "allowed"), [(0.0, False), (1e-9, True), (87_600.0, True), (87_600.1, False)]
)
def test_a_cell_may_take_ten_years(hours: float, allowed: bool) -> None:
    assert (HOURS.fault("cell_timeout", hours) is None) is allowed
