"""The learning curve's file: rows in order, a row cut short left out, rows to be taken again dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.disk.learning_curve import append_row, keep_rows, read_curve

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


def test_the_first_row_of_a_short_file_is_read_by_those_who_want_the_last(path: Path):
    assert [row["step"] for row in read_curve(path, last=3)] == [1, 2, 3]
    assert [row["step"] for row in read_curve(path, last=99)] == [1, 2, 3]
    assert [row["step"] for row in read_curve(path, last=1)] == [3]


def test_bytes_that_are_no_text_spoil_their_own_row_alone(path: Path):
    path.write_bytes(path.read_bytes() + b'{"step": 4, "loss": \xff}\n{"step": 5}\n')
    assert [row["step"] for row in read_curve(path)] == [1, 2, 3, 5]


@pytest.mark.parametrize(
    ("row", "taken"),
    [
        ('{"step": 4}', True),
        ('{"step": 4, "loss": 1e299}', True),
        ('{"step": 4, "loss": 1e300}', False),
        ('{"step": 4, "loss": -1e300}', False),
        ('{"step": 4, "loss": NaN}', False),
        ('{"step": 4, "loss": true}', False),
        ('{"step": 4, "loss": "1"}', False),
        ('{"loss": 1.0}', False),
    ],
)
def test_a_row_has_a_step_and_numbers_that_can_be(path: Path, row: str, taken: bool):
    path.write_text(f"{row}\n")
    assert bool(read_curve(path)) is taken


def test_the_last_step_that_stays_is_the_one_that_is_named(path: Path):
    keep_rows(path, 3)
    assert [row["step"] for row in read_curve(path)] == [1, 2, 3]


def test_bytes_that_are_no_text_cost_their_own_row_alone(path: Path):
    path.write_bytes(b"\xff\xfe\n" + path.read_bytes())
    assert [row["step"] for row in read_curve(path)] == [1, 2, 3]


@pytest.mark.parametrize("number", ["1e300", "-1e300", "NaN", "Infinity", "true", '"1"'])
def test_what_is_no_number_of_a_row(path: Path, number: str):
    path.write_text(f'{{"step": 1, "loss": {number}}}\n{{"step": 2, "loss": 9e299}}\n')
    assert [row["step"] for row in read_curve(path)] == [2]
