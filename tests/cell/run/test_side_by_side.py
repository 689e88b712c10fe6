"""Several works in one process: weights are lent while they last, and no longer."""

from __future__ import annotations

import pytest

from instruct_ablate.cell.run.side_by_side import side_by_side
from instruct_ablate.model.loading.last_loaded import SHELF
from instruct_ablate.process.turns import this_cell


def test_works_are_done_and_weights_lent_no_longer(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[object] = []

    def work(number: int) -> None:
        cell = this_cell()
        assert cell is not None
        seen.append((cell.name, cell.meeting.tokens, SHELF.is_open))
        if number == 1:
            raise ValueError("it broke")

    before = SHELF.is_open
    side_by_side({"a": lambda: work(0), "b": lambda: work(1), "c": lambda: work(2)}, 7)
    assert seen == [("cell a", 7, True), ("cell b", 7, True), ("cell c", 7, True)]
    assert SHELF.is_open == before
    assert "b: ValueError: it broke" in caplog.text


def test_what_ends_the_sweep_is_raised_once_all_have_ended() -> None:
    ended: list[str] = []

    def stops() -> None:
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        side_by_side({"a": lambda: ended.append("a"), "b": stops, "c": lambda: ended.append("c")}, None)
    assert ended == ["a"]  # who has not begun does not begin
    assert not SHELF.is_open
