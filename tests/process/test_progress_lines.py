from __future__ import annotations

import logging

import pytest

from instruct_ablate.process.progress_lines import ProgressLines, duration


def test_a_line_a_minute_with_the_time_left(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    lines = ProgressLines(lambda: now, silent=False)
    with caplog.at_level(logging.INFO):
        for step in range(301):  # two seconds each
            lines.tell("train", step, 600, "loss 2.000")
            now += 2
    assert [record.getMessage() for record in caplog.records][:2] == [
        "train 30 of 600, loss 2.000, 19 min left",
        "train 60 of 600, loss 2.000, 18 min left",
    ]
    assert len(caplog.records) == 10


def test_each_stage_is_timed_by_itself_and_what_a_terminal_shows_is_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    loud, silent = ProgressLines(lambda: now, silent=False), ProgressLines(lambda: now, silent=True)
    with caplog.at_level(logging.INFO):
        for lines in (loud, silent):
            lines.tell("train", 5, 10)
        now = 59.0
        for lines in (loud, silent):
            lines.tell("evaluate original", 100, 200)
        now = 119.0
        for lines in (loud, silent):
            lines.tell("evaluate original", 160, 200)
    assert [record.getMessage() for record in caplog.records] == ["evaluate original 160 of 200, 40 s left"]


@pytest.mark.parametrize(("seconds", "text"), [(40, "40 s"), (430, "7 min"), (7500, "2 h 05 min")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.4, "59 s"), (60, "1 min"), (3569, "59 min"), (3600, "1 h 00 min"), (0, "0 s")]
)
def test_durations_at_their_ends(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_what_stands_still_has_no_time_left(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    lines = ProgressLines(lambda: now, silent=False)
    with caplog.at_level(logging.INFO):
        lines.tell("train", 5, 10)
        now = 60.0
        lines.tell("train", 5, 10)
        now = 70.0
        lines.tell("train", 6, 10)  # a minute after the last line, no sooner
        lines.tell("train", 6, 0)
    assert [record.getMessage() for record in caplog.records] == ["train 5 of 10"]
