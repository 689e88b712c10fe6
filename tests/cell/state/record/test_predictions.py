from __future__ import annotations

import errno
import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.state.record.prediction_writer import PredictionWriter
from instruct_ablate.cell.state.record.predictions import (
    PredictionRow,
    discard,
    from_line,
    make_row,
    partial_path,
    read_predictions,
    to_line,
    unfinished,
    written_rows,
)
from instruct_ablate.disk.fence import Fence, fence, open_fence
from instruct_ablate.errors import UserError
from instruct_ablate.prompt.prompt import Likelihood, Prediction, Prompt
from tests.scored import instance_score

PROMPT = Prompt("t1", "C", "classification", "t1-0", "Say yes.", ("yes", "ja"), "yes", ("yes", "no"), True)
ROW = make_row(Prediction(PROMPT, " yes"), instance_score(1.0, 0.5, 1 / 3, 1.0, 0.5, brevity=0.25))


def rows(count: int) -> list[PredictionRow]:
    return [replace(ROW, instance_id=f"t1-{i}") for i in range(count)]


def write(path: Path, given: list[PredictionRow], finish: bool = True) -> None:
    with PredictionWriter(path) as writer:
        for row in given:
            writer.append(row)
        if finish:
            writer.finish()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    odd = replace(ROW, prediction='line\nbreak "quote" \u2028 日本 \ud800', choices=None, values=())
    write(tmp_path / "a" / "original.jsonl", [ROW, odd])
    assert read_predictions(tmp_path / "a" / "original.jsonl") == (ROW, odd)
    assert not partial_path(tmp_path / "a" / "original.jsonl").exists()


def test_a_row_gives_prediction_and_score_back() -> None:
    assert ROW.to_prediction().prompt == PROMPT
    assert ROW.score == instance_score(1.0, 0.5, 1 / 3, 1.0, 0.5, brevity=0.25)
    assert make_row(Prediction(PROMPT, "x"), ROW.score, save_prompt=False).prompt == ""
    ruled = replace(PROMPT, word_rule="unicode")
    assert from_line(to_line(make_row(Prediction(ruled, "x"), ROW.score))).to_prediction().prompt == ruled


def test_likelihoods_are_numbers_by_reference_and_nothing_where_there_are_none(tmp_path: Path) -> None:
    told = (Likelihood(-1 / 3, 2, 3), Likelihood(-12.5, 1, 2))
    row = make_row(Prediction(PROMPT, " yes", told), ROW.score)
    assert "likelihoods" not in to_line(ROW)
    assert (
        to_line(row) == to_line(ROW)[:-1] + ', "likelihoods": [[-0.3333333333333333, 2, 3], [-12.5, 1, 2]]}'
    )
    write(tmp_path / "p.jsonl", [row, ROW])
    assert read_predictions(tmp_path / "p.jsonl") == (row, ROW)
    assert row.to_prediction().likelihoods == told
    of_nothing = (Likelihood(-1.0, 1, 0), told[1])  # the empty reference: its end token alone
    assert from_line(to_line(replace(row, likelihoods=of_nothing))).likelihoods == of_nothing


@pytest.mark.parametrize("damage", ["[[-1, 2, 3]]", "[[-1, 0, 3], [-1, 2, 3]]", "[[-1], [-1]]", "7"])
def test_likelihoods_that_are_none_make_no_row(damage: str) -> None:
    with pytest.raises((TypeError, ValueError)):
        from_line(to_line(ROW)[:-1] + f', "likelihoods": {damage}}}')


def test_nothing_is_complete_before_finish(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    write(path, rows(3), finish=False)
    assert not path.exists()
    assert {row.key for row in written_rows(path)} == {("t1", "t1-0"), ("t1", "t1-1"), ("t1", "t1-2")}


def test_nothing_written_yet(tmp_path: Path) -> None:
    assert written_rows(tmp_path / "p.jsonl") == ()


@pytest.mark.parametrize("cut", [1, 20, len(to_line(ROW)) - 1])
def test_a_half_written_line_is_dropped_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, cut: int
) -> None:
    path = tmp_path / "p.jsonl"
    write(path, rows(2), finish=False)
    with partial_path(path).open("a") as file:
        file.write(to_line(ROW)[:cut])
    with caplog.at_level(logging.WARNING):
        assert len(written_rows(path)) == 2
    assert "half-written" in caplog.text
    write(path, [replace(ROW, instance_id="t1-2")])
    assert read_predictions(path) == tuple(rows(3))


def test_a_complete_file_of_an_unfinished_cell_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    write(path, rows(2))
    write(path, rows(3)[2:])
    assert read_predictions(path) == tuple(rows(3))


@pytest.mark.parametrize("damage", ["not json", "[]", '{"task": "t"}', '{"references": [], "extra": 3}'])
def test_damage_inside_names_the_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(f"{to_line(ROW)}\n{damage}\n{to_line(ROW)}\n")
    with pytest.raises(UserError, match="line 2: not a prediction row"):
        read_predictions(path)


@pytest.mark.parametrize(
    "fields",
    [{"kind": "x"}, {"word_rule": ""}, {"truncated": 1}, {"expected": "no"}, {"values": {"a": float("inf")}}],
)
def test_fields_of_other_values_make_no_row(tmp_path: Path, fields: dict[str, object]) -> None:
    (tmp_path / "p.jsonl").write_text(json.dumps({**json.loads(to_line(ROW)), **fields}) + "\n")
    with pytest.raises(UserError, match="line 1: not a prediction row"):
        read_predictions(tmp_path / "p.jsonl")


def test_a_missing_file_is_a_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the predictions"):
        read_predictions(tmp_path / "none.jsonl")


class FullDisk:
    """Takes some bytes, then half of a line, then nothing."""

    def __init__(self, file: object) -> None:
        self.file, self.left = file, 3

    def write(self, data: memoryview) -> int:
        self.left -= 1
        if self.left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self.file.write(data if self.left > 1 else data[:10]))  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)


def test_a_full_disk_loses_no_finished_row(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    with PredictionWriter(path) as writer:
        vars(writer)["_file"] = FullDisk(vars(writer)["_file"])
        writer.append(rows(2)[0])
        with pytest.raises(UserError, match=r"disk is full"):
            writer.append(rows(2)[1])
    assert partial_path(path).read_bytes().endswith(b"\n")
    assert written_rows(path) == tuple(rows(1))


def test_a_later_process_goes_on_in_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "original.jsonl"
    fence(tmp_path, Fence(1, lambda: None))
    first = PredictionWriter(path)
    first.append(ROW)
    fence(tmp_path, Fence(2, lambda: None))
    with PredictionWriter(path) as second:
        assert {row.key for row in written_rows(path)} == {ROW.key}
        second.append(replace(ROW, instance_id="other"))
        first._file.write(b"woken")  # as if it had passed its check just before
        second.finish()
    open_fence(tmp_path)
    assert [row.instance_id for row in read_predictions(path)] == [ROW.instance_id, "other"]
    assert [one.name for one in tmp_path.iterdir()] == ["original.jsonl"]
    discard(path)
    assert not list(tmp_path.iterdir())


def test_rows_are_made_durable_now_and_then_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    monkeypatch.setattr("instruct_ablate.cell.state.record.prediction_writer._SYNC_EVERY", 3)
    with PredictionWriter(tmp_path / "p.jsonl") as writer:
        monkeypatch.setattr(os, "fsync", lambda handle: events.append("synced"))
        for row in rows(7):
            writer.append(row)
            events.append(row.instance_id)
    assert [events[place - 1] for place, event in enumerate(events) if event == "synced"] == ["t1-1", "t1-4"]


def test_letters_of_any_script_are_written_as_they_are() -> None:
    row = from_line(to_line(PredictionRow("t", "C", "generation", "1", "é", "实验", ("ü",), None, False, ())))
    line = to_line(row)
    assert "实验" in line
    assert "ü" in line
    assert "likelihoods" not in line


def test_an_answer_is_right_by_its_constraints_where_there_are_any() -> None:
    assert ROW.right == 1.0
    for kept in (0.0, 1.0):
        checked = replace(ROW, values=(("exact_match", 1 - kept), ("prompt_level_strict", kept)))
        assert checked.right == kept
    assert replace(ROW, values=()).right == 0.0


def test_a_cut_answer_is_marked_and_no_other_line_is_changed_for_it() -> None:
    cut = make_row(Prediction(PROMPT, " yes", cut=True), ROW.score)
    assert (cut.cut, ROW.cut) == (True, False)
    assert cut.to_prediction().cut
    assert from_line(to_line(cut)) == cut
    assert "cut" not in json.loads(to_line(ROW)), "as earlier versions wrote it, which noted none"
    assert from_line(to_line(ROW)) == ROW
    with pytest.raises(TypeError, match="true or false"):
        from_line(to_line(cut).replace('"cut": true', '"cut": 1'))


def test_of_many_unfinished_files_the_tenth_is_later_than_the_ninth(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    for number, generation in ((1, None), (3, 10), (2, 9)):
        lines = "".join(to_line(row) + "\n" for row in rows(number))
        partial_path(path, generation).write_text(lines, encoding="utf-8")
    assert unfinished(path) == [partial_path(path, generation) for generation in (None, 9, 10)]
    assert written_rows(path) == tuple(rows(3))
