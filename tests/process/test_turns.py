"""Threads that take turns: one runs at a time, each with generators of its own; stops reach all."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from instruct_ablate.errors import Interrupted
from instruct_ablate.process import turns
from instruct_ablate.process.turns import SideBySide, ToldToStop, Turn, clock, own_lines, this_cell

GENERATORS = (random.getstate, random.setstate)


def asked(what: object) -> Any:
    cell = this_cell()
    assert cell is not None
    return cell.ask(what)


def run(works: Sequence[Callable[[], object]], meet: Callable[[Sequence[Turn]], object]) -> list[Turn]:
    turns = [Turn(str(place), work) for place, work in enumerate(works)]
    SideBySide(turns, meet, GENERATORS).run()
    return turns


def test_each_runs_until_all_wait(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[object] = []

    def work(name: str, times: int) -> None:
        for count in range(times):
            seen.append((name, count))
            seen.append(asked((name, count)))
        if name == "b":
            raise ValueError("it broke")

    def meet(cells: Sequence[Turn]) -> None:
        seen.append(len(cells))
        for cell in cells:
            cell.answer = cell.asked[1] * 10

    turns = run([lambda: work("a", 2), lambda: work("b", 1)], meet)
    assert seen == [("a", 0), ("b", 0), 2, 0, ("a", 1), 0, 1, 10]
    assert [turn.fault is None for turn in turns] == [True, False]
    assert "1: ValueError: it broke" in caplog.text
    assert this_cell() is None


def test_generators_are_each_cells_own() -> None:
    def work(into: list[float]) -> None:
        for _ in range(3):
            into.append(random.random())
            asked(None)

    state, wanted = random.getstate(), [random.random() for _ in range(3)]
    random.setstate(state)
    one: list[float] = []
    other: list[float] = []
    run([lambda: work(one), lambda: work(other)], lambda cells: random.random())
    assert one == other == wanted


def test_the_clock_stands_still_while_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    took: list[float] = []
    now = [0.0]

    def passes(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(turns, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def work(seconds: float) -> None:
        started = clock()
        passes(seconds)
        asked(None)
        took.append(clock() - started)

    def meet(cells: Sequence[Turn]) -> None:
        passes(0.2)
        for cell in cells:
            cell.share = 0.05

    run([lambda: work(0.0), lambda: work(0.3)], meet)
    assert took == pytest.approx([0.05, 0.35])


def test_who_asks_for_the_end_ends_all() -> None:
    reached: list[str] = []

    def ending() -> None:
        asked(None)
        raise SystemExit(1)

    def listening() -> None:
        cell = this_cell()
        assert cell is not None
        request = type("Request", (), {"reason": None})()
        with cell.listening(request):
            while request.reason is None:
                asked(None)
        reached.append(str(request.reason))

    with pytest.raises(SystemExit):
        run([ending, listening], lambda cells: None)
    assert reached == ["another cell ended the sweep"]


def test_one_that_does_not_listen_is_interrupted_and_others_do_not_begin() -> None:
    turns: list[Turn] = []

    def deaf() -> None:
        threading.Timer(0.05, lambda: leader._stop("SIGTERM")).start()
        for _ in range(500):
            time.sleep(0.01)

    turns = [Turn("0", deaf), Turn("1", lambda: None)]
    leader = SideBySide(turns, lambda cells: None, GENERATORS)
    with pytest.raises(KeyboardInterrupt):
        leader.run()
    assert isinstance(turns[0].fault, ToldToStop)
    assert isinstance(turns[0].fault, Interrupted)
    assert turns[1].ident is None


def test_a_log_takes_no_line_of_other_cells() -> None:
    record = logging.makeLogRecord({"threadName": "cell a"})
    assert not own_lines()(record)
    taken: list[bool] = []
    turn = Turn("a", lambda: taken.append(own_lines()(record)))
    turn.let()
    assert taken == [True]
    assert own_lines()(logging.makeLogRecord({"threadName": "heartbeat"}))
