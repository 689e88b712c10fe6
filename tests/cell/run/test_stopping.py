from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from instruct_ablate.cell.run import stopping
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


class TestSwallowed:
    """What a signal raises may end where it is raised; the cell stops all the same, and none follows it."""

    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setattr(stopping, "AGAIN", 0.1)
        monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
        yield
        signal.signal(signal.SIGINT, before)

    @staticmethod
    def in_a_destructor(number: signal.Signals) -> None:
        class Told:
            def __del__(self) -> None:
                os.kill(os.getpid(), number)
                time.sleep(60)

        Told()

    @pytest.mark.parametrize(
        ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Interrupted)]
    )
    def test_it_is_raised_again(self, number: signal.Signals, error: type[BaseException]) -> None:
        def cell() -> None:
            self.in_a_destructor(number)
            time.sleep(60)

        handler, began = signal.getsignal(number), time.monotonic()
        with pytest.raises(error), interruptible():
            cell()
        assert time.monotonic() - began < 50
        assert signal.getsignal(number) is handler

    @pytest.mark.parametrize(
        ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGUSR2, Interrupted)]
    )
    def test_at_the_end_of_the_cell_at_the_latest(
        self, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, error: type[BaseException]
    ) -> None:
        monkeypatch.setattr(stopping, "AGAIN", 60.0)
        handler = signal.getsignal(number)
        with pytest.raises(error), interruptible():
            self.in_a_destructor(number)
        assert signal.getsignal(number) is handler

    def test_never_while_one_is_on_its_way_but_at_once_for_whoever_tells_again(self) -> None:
        done: list[str] = []

        def cell() -> None:
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(60)
            finally:
                time.sleep(0.4)  # it would be raised again some three times
                done.append("cleaned up")
                try:
                    os.kill(os.getpid(), signal.SIGINT)
                    time.sleep(60)
                except KeyboardInterrupt:
                    done.append("told again")

        with pytest.raises(KeyboardInterrupt), interruptible():
            cell()
        assert done == ["cleaned up", "told again"]

    def test_nobody_is_told_after_the_cell(self) -> None:
        with pytest.raises(KeyboardInterrupt), interruptible():
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
        assert not [thread for thread in threading.enumerate() if thread.name == "stop"]


def test_ctrl_c_that_is_handled_elsewhere_is_left_alone() -> None:
    def mine(*_: object) -> None: ...

    before = signal.signal(signal.SIGINT, mine)
    try:
        with interruptible():
            assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_time_limit_raises() -> None:
    with pytest.raises(TimedOutError, match="cell_timeout"), time_limit(0.1 / 3600, nothing):
        time.sleep(60)


class TestTheAlarmAgain:
    """The error of an alarm can be swallowed where it is raised: then it rings again, never while one is on its way."""

    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stopping, "AGAIN", 0.1)
        monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # pytest's own keeps what it is given

    def test_swallowed_by_a_destructor(self) -> None:
        ends: list[float] = []

        class Slow:
            def __del__(self) -> None:
                began = time.monotonic()
                try:
                    time.sleep(60)
                finally:
                    ends.append(time.monotonic() - began)

        def cell() -> None:
            Slow()
            time.sleep(60)

        began = time.monotonic()
        with pytest.raises(TimedOutError, match="cell_timeout"), time_limit(0.1 / 3600, nothing, grace=200):
            cell()
        assert [end < 50 for end in ends] == [True]
        assert time.monotonic() - began < 50

    def test_swallowed_by_whoever_takes_all_errors(self) -> None:
        met: list[str] = []

        def cell() -> None:
            for _ in range(2):
                try:
                    time.sleep(60)
                except Exception as error:
                    met.append(str(error))
            time.sleep(60)

        with pytest.raises(TimedOutError), time_limit(0.1 / 3600, nothing, grace=200):
            cell()
        assert len(met) == 2

    def test_cleaning_up_takes_as_long_as_it_takes(self) -> None:
        done: list[str] = []
        before = signal.getsignal(signal.SIGALRM)

        def cell() -> None:
            try:
                time.sleep(60)
            except TimedOutError as error:
                time.sleep(0.3)
                done.append("handled")
                raise RuntimeError("wrapped") from error
            finally:
                time.sleep(0.3)
                done.append("cleaned up")

        with pytest.raises(RuntimeError, match="wrapped"), time_limit(0.1 / 3600, nothing, grace=200):
            cell()
        assert done == ["handled", "cleaned up"]
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
        assert signal.getsignal(signal.SIGALRM) is before

    def test_an_alarm_while_it_is_put_off_rings_no_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        put, before, calls = signal.setitimer, signal.getsignal(signal.SIGALRM), []

        def late(which: int, seconds: float, interval: float = 0.0) -> tuple[float, float]:
            calls.append(seconds)
            if len(calls) == 2:  # the first time that it is put off
                time.sleep(60)
            return put(which, seconds, interval)

        monkeypatch.setattr(signal, "setitimer", late)
        with pytest.raises(TimedOutError), time_limit(0.1 / 3600, nothing, grace=200):
            pass
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
        assert signal.getsignal(signal.SIGALRM) is before


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
    assert subprocess.run([sys.executable, "-c", code], timeout=200, check=False).returncode == 124
    assert "did not react" in (tmp_path / "told").read_text()


@pytest.mark.parametrize(
    ("hours", "allowed"), [(0.0, False), (1e-9, True), (87_600.0, True), (87_600.1, False)]
)
def test_a_cell_may_take_ten_years(hours: float, allowed: bool) -> None:
    assert (HOURS.fault("cell_timeout", hours) is None) is allowed
