"""Scores while training on disk, and the steps after which they are wanted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.disk.score_curve import (
    FILE,
    FIRST,
    FURTHER,
    LEAST,
    SHARE,
    USUAL,
    Point,
    add_points,
    asks_for_points,
    due_steps,
    keep_points,
    lacks_points,
    read_points,
    sample_size,
)
from instruct_ablate.schema import EvaluationConfig


def point(step: int, tested: str = "original", value: float = 50.0) -> Point:
    return Point(step, 10, tested, 8, "abcd", 0.5, (("rougeL", value),))


@pytest.mark.parametrize(
    ("asked", "due"),
    [
        (EvaluationConfig(at=[0.1, 0.3, 1.0]), (1, 3, 10)),
        (EvaluationConfig(at=[0.0, 0.01, 0.25]), (0, 1, 3)),
        (EvaluationConfig(every_steps=4), (4, 8, 10)),
        (EvaluationConfig(every_epochs=1.0), (4, 8, 10)),
        (EvaluationConfig(every_epochs=0.25), tuple(range(1, 11))),
        (EvaluationConfig(every_epochs=0.5, at=[0.3]), (2, 3, 4, 6, 8, 10)),
        (EvaluationConfig(), ()),
    ],
)
def test_shares_steps_and_epochs_become_steps(asked: EvaluationConfig, due: tuple[int, ...]) -> None:
    assert due_steps(asked, 10, steps_per_epoch=4) == due
    assert asks_for_points(asked) == bool(due)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / FILE
    assert read_points(path) == ()
    add_points(path, [point(3), point(3, "delusive")])
    add_points(path, [point(1)])
    assert read_points(path) == (point(1), point(3), point(3, "delusive"))
    assert point(3).share == 0.3


def test_by_what_a_point_was_scored_is_read_again_and_not_known_of_early_ones(tmp_path: Path) -> None:
    path = tmp_path / FILE
    scored = replace(point(1), scored=(("scoring rules", "version 3"), ("file of metric own", "ab12cd34")))
    add_points(path, [scored, point(2)])
    assert read_points(path) == (scored, point(2))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    early = [{key: value for key, value in row.items() if key != "scored"} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in early))
    assert read_points(path) == (point(1), point(2))
    path.write_text(json.dumps({**rows[0], "scored": 3}) + "\n")
    assert read_points(path) == ()


def test_a_point_that_is_taken_again_stands_once(tmp_path: Path) -> None:
    path = tmp_path / FILE
    add_points(path, [point(3, value=1.0)])
    add_points(path, [point(3, value=2.0)])
    assert read_points(path) == (point(3, value=2.0),)


def test_points_after_the_step_that_is_gone_on_from_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / FILE
    add_points(path, [point(0), point(1), point(3)])
    keep_points(path, 1)
    assert read_points(path) == (point(0), point(1))
    keep_points(path, 0)
    assert read_points(path) == ()


def test_what_is_no_point_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / FILE
    add_points(path, [point(1)])
    line = path.read_text()
    broken = [line.replace('"step": 1', '"step": 11'), line.replace("50.0", "NaN"), line[:40], "7", "{}", ""]
    path.write_text("\n".join([line, *broken]))
    assert read_points(path) == (point(1),)


def test_a_done_cell_may_lack_points(tmp_path: Path) -> None:
    assert not lacks_points(EvaluationConfig(), tmp_path)
    assert lacks_points(EvaluationConfig(at=[0.1]), tmp_path)
    add_points(tmp_path / FILE, [point(1), point(10)])
    assert not lacks_points(EvaluationConfig(at=[0.1, 1.0]), tmp_path)
    assert lacks_points(EvaluationConfig(at=[0.1, 0.5]), tmp_path)


@pytest.mark.parametrize(
    ("given", "examples", "tests", "tasks", "size"),
    [
        (None, 800, 10, 4, 26), (None, 800, 10, 17, 13), (None, 800, 10, 119, 13), (None, 800, 20, 4, 10),
        (None, 100_000, 10, 119, 100), (None, 40, 10, 4, 3), (None, 160, 10, 20, 3),
        (None, 200, 10, 20, 3), (None, 240, 10, 20, 4), (None, 800, 0, 4, 100), (7, 40, 10, 4, 7),
    ],
)  # fmt: skip
def test_a_sample_is_so_small_that_all_points_take_an_eighth_of_the_time(
    given: int | None, examples: int, tests: int, tasks: int, size: int
) -> None:
    assert sample_size(EvaluationConfig(at_instances=given), examples, tests, tasks) == size
    if given is None and LEAST < size < USUAL:
        time = FIRST * min(size, tasks) + FURTHER * max(0, size - tasks)
        assert SHARE * examples - tests < tests * time <= SHARE * examples


def test_bytes_that_are_no_text_cost_their_own_row_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE
    add_points(path, [point(3, "é")])
    assert "é" in path.read_text(encoding="utf-8")
    path.write_bytes(b"\xff\xfe\n" + path.read_bytes())
    assert read_points(path) == (point(3, "é"),)
