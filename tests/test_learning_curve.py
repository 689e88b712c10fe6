"""The learning curve's file: rows in order, a row cut short left out, rows to be taken again dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.learning_curve import append_row, keep_rows, read_curve

CUT = '{"step": 4, "lo'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "training.jsonl"
    for step in (1, 2, 3):
        append_row(path, {"step": step, "loss": 1.0 / step})
    return path


def test_what_is_written_is_read(path: Path):
    assert read_curve(path) == [{"step": step, "loss": 1.0 / step} for step in (1, 2, 3)]


def test_a_row_cut_short_is_left_out(path: Path):
    path.write_text(path.read_text() + CUT)
    assert [row["step"] for row in read_curve(path)] == [1, 2, 3]
    assert [row["step"] for row in read_curve(path, last=2)] == [2, 3]


def test_what_is_no_row_is_left_out(path: Path):
    path.write_text(path.read_text() + "7\n[]\n{}\nnull\n")
    assert len(read_curve(path)) == 3


def test_the_last_rows_are_read_from_the_end_of_a_long_file(tmp_path: Path):
    path = tmp_path / "training.jsonl"
    for step in range(1, 501):
        append_row(path, {"step": step, "loss": 0.123456789, "seconds": 0.5})
    assert [row["step"] for row in read_curve(path, last=3)] == [498, 499, 500]


def test_a_curve_that_is_not_there_is_empty(tmp_path: Path):
    assert read_curve(tmp_path / "training.jsonl") == []
    assert read_curve(tmp_path / "training.jsonl", last=5) == []


def test_steps_that_will_be_taken_again_are_dropped(path: Path):
    path.write_text(path.read_text() + CUT)
    keep_rows(path, 2)
    assert path.read_text() == '{"step": 1, "loss": 1.0}\n{"step": 2, "loss": 0.5}\n'
    keep_rows(path, 0)
    assert path.read_text() == ""
