from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.state import heartbeat
from instruct_ablate.cell.state.heartbeat import (
    Beat,
    Heartbeat,
    age,
    alive_here,
    is_dead,
    read_beat,
    seems_dead,
    this_process,
)
from instruct_ablate.cell.state.record.record_file import to_json
from instruct_ablate.disk.whole_files import write_whole

FAR = replace(this_process(), host="elsewhere")


def beat(folder: Path, counter: int, seconds_ago: float = 0.0) -> None:
    write_whole(folder / "heartbeat", to_json(Beat(FAR, counter, time.time())))
    then = time.time() - seconds_ago
    os.utime(folder / "heartbeat", (then, then))


def test_a_process_that_the_system_hides_is_judged_by_its_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where /proc is mounted with hidepid: other users' processes are not in it."""

    def forbid(pid: int, number: int) -> None:
        raise PermissionError(1, "not yours")

    monkeypatch.setattr(heartbeat, "_started", lambda pid: None)
    mine = replace(this_process(), pid=2**22 + 1)
    assert alive_here(mine) is False
    monkeypatch.setattr(heartbeat.os, "kill", forbid)
    assert alive_here(mine) is None


def test_it_beats_tells_progress_and_is_gone_afterwards(tmp_path: Path) -> None:
    with Heartbeat(tmp_path, this_process(), beat=0.02) as alive:
        first = read_beat(tmp_path)
        alive.progress("train", 3, 10)
        time.sleep(0.2)
        later = read_beat(tmp_path)
    assert first is not None
    assert later is not None
    assert later.counter > first.counter
    assert (later.stage, later.done, later.total) == ("train", 3, 10)
    assert read_beat(tmp_path) is None


def test_a_heartbeat_that_cannot_be_written_does_not_end_the_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(heartbeat, "write_whole", full)
    with Heartbeat(tmp_path, this_process(), beat=0.01):
        time.sleep(0.05)


def test_this_process_is_alive_and_an_ended_one_is_not() -> None:
    assert alive_here(this_process()) is True
    child = subprocess.Popen([sys.executable, "-c", ""])
    owner = replace(this_process(), pid=child.pid)
    child.wait()
    assert alive_here(owner) is False


def test_a_process_whose_end_nobody_has_asked_for_is_dead() -> None:
    """Its parent may go on for hours: the cell it ran can be taken over at once."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        owner = replace(this_process(), pid=process.pid, started=heartbeat._started(process.pid) or "")
        assert alive_here(owner)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a child
        assert Path(f"/proc/{process.pid}").exists()
        assert alive_here(owner) is False


def test_a_reused_pid_is_not_taken_for_the_owner() -> None:
    assert alive_here(replace(this_process(), started="1")) is False


def test_a_process_elsewhere_cannot_be_asked() -> None:
    assert alive_here(FAR) is None
    assert alive_here(replace(this_process(), boot="another boot")) is None


def test_a_fresh_heartbeat_elsewhere_is_life(tmp_path: Path) -> None:
    beat(tmp_path, 1)
    assert not seems_dead(tmp_path, FAR)
    assert not is_dead(tmp_path, FAR, watch=0.01)


def test_an_old_or_absent_heartbeat_elsewhere_is_death(tmp_path: Path) -> None:
    assert is_dead(tmp_path, FAR, watch=0.01)
    beat(tmp_path, 1, seconds_ago=3600)
    assert seems_dead(tmp_path, FAR)
    assert is_dead(tmp_path, FAR, watch=0.01)


@pytest.mark.parametrize("seconds_ago", [7200, -7200])
def test_a_clock_that_jumps_does_not_kill_a_cell_whose_counter_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds_ago: float
) -> None:
    beat(tmp_path, 1, seconds_ago)
    monkeypatch.setattr(heartbeat.time, "sleep", lambda _: beat(tmp_path, 2, seconds_ago))
    assert not is_dead(tmp_path, FAR)


def test_a_heartbeat_from_the_future_that_stands_still_is_death(tmp_path: Path) -> None:
    beat(tmp_path, 1, seconds_ago=-7200)
    assert is_dead(tmp_path, FAR, watch=0.01)


def test_age_is_measured_by_the_file_systems_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beat(tmp_path, 1, seconds_ago=100)
    monkeypatch.setattr(heartbeat.time, "time", lambda: 0.0)
    assert 99 < age(tmp_path / "heartbeat") < 110
    assert age(tmp_path / "nothing") == float("inf")


def test_a_process_is_asked_and_never_sent_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    monkeypatch.setattr("os.kill", lambda pid, signal: sent.append((pid, signal)))
    assert not heartbeat._hidden(17)
    assert sent == [(17, 0)]


@pytest.mark.parametrize(
    ("old", "dead"), [(0.0, False), (heartbeat.STALE, False), (heartbeat.STALE + 0.1, True)]
)
def test_a_heartbeat_is_life_until_it_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: float, dead: bool
) -> None:
    monkeypatch.setattr(heartbeat, "age", lambda path: old)
    elsewhere = replace(this_process(), host="another")
    assert is_dead(tmp_path, elsewhere, watch=0.0) is dead
    assert seems_dead(tmp_path, elsewhere) is dead


def test_a_beat_without_progress_counts_from_nothing() -> None:
    beat = Beat(this_process(), 1, 0.0)
    assert (beat.stage, beat.done, beat.total, beat.since) == ("", 0, 0, 0.0)
