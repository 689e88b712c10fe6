"""A cell's scores while it trains, on disk: `scores_in_training.jsonl`, a row of JSON a point and test."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from instruct_ablate.disk.whole_files import NOT_AS_WRITTEN, opened_plain, write_whole
from instruct_ablate.schema import EvaluationConfig

FILE = "scores_in_training.jsonl"
LOGGED = "curve/"  # before the names of values, for loggers
HELD_OUT = (
    "validation"  # stands for a test-time instruction where training tasks that are held out were tested
)
USUAL, LEAST = 100, 3  # instances of a sample whose size is not given, at most and at least
# Of a trained example's time: a task's first tested instance, and a further one, which shares its beginning.
FIRST, FURTHER = 0.7, 0.3
SHARE = 0.12  # of the training's time that all points are to take: answers that run on may bring it to 0.15
_MOST = 1e9  # of numbers in a row: steps, seconds, percents
_ROUNDING = 1e-9  # 0.3 of ten steps are three


@dataclass(frozen=True, slots=True)
class Point:
    """The scores on a sample of the test instances after some steps, under one test-time instruction."""

    step: int
    steps: int  # of the whole fit
    tested: str  # label of the test-time instruction
    instances: int
    sample: str  # short hash of which instances: points of different samples make no curve
    seconds: float
    values: tuple[tuple[str, float], ...]  # measure, percent (or its own unit)
    # By what it was scored, as `scored_with` says it: no prediction is kept to score it again; empty: not noted.
    scored: tuple[tuple[str, str], ...] = ()

    @property
    def share(self) -> float:
        """Share of the training that was done."""
        return self.step / self.steps


def asks_for_points(config: EvaluationConfig) -> bool:
    """Whether scores are wanted while training."""
    return bool(config.at or config.every_steps or config.every_epochs)


def due_steps(config: EvaluationConfig, steps: int, steps_per_epoch: int | None) -> tuple[int, ...]:
    """Return the steps after which scores are wanted; those by epoch only where its steps are known."""
    due = {0 if share == 0 else max(1, math.ceil(share * steps - _ROUNDING)) for share in config.at}
    if config.every_steps:
        due |= {*range(config.every_steps, steps + 1, config.every_steps), steps}
    if config.every_epochs and steps_per_epoch:
        period = config.every_epochs * steps_per_epoch
        count = int(steps / period + _ROUNDING)
        due |= {max(1, math.ceil(number * period - _ROUNDING)) for number in range(1, count + 1)} | {steps}
    return tuple(sorted(due))


def sample_size(config: EvaluationConfig, examples: int, tests: int, tasks: int) -> int:
    """Return how many instances a point is tested on, under each instruction, spread evenly over so many tasks.

    Where that is not given all tests of a fit of so many examples take `SHARE` of its time.
    """
    if config.at_instances:
        return config.at_instances
    room = SHARE * examples / max(tests, 1)
    size = min(room / FIRST, tasks) + max(0.0, room - FIRST * tasks) / FURTHER
    return max(LEAST, min(USUAL, int(size)))


def lacks_points(config: EvaluationConfig, folder: Path) -> bool:
    """Whether a cell that is done lacks points that are asked for."""
    if not asks_for_points(config):
        return False
    points = read_points(folder / FILE)
    return not points or not {*due_steps(config, points[-1].steps, None)} <= {one.step for one in points}


def read_points(path: Path) -> tuple[Point, ...]:
    """Read the points of a cell in the order of steps; what is no point is left out, and no file has none."""
    try:
        with opened_plain(path) as file:
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ()
    points = {(one.step, one.tested): one for line in lines if (one := _point(line)) is not None}
    return tuple(sorted(points.values(), key=lambda one: one.step))


def scored_by_text(points: Iterable[Point]) -> str:
    """Write what points were scored by; "not noted" where an earlier version took them."""
    told = {", ".join(map(" ".join, one.scored)) or "not noted" for one in points}
    return " and ".join(sorted(told))


def add_points(path: Path, points: Iterable[Point]) -> None:
    """Write points behind the others, all or none; one of the same step and test is replaced."""
    _write(path, (*read_points(path), *points))


def keep_points(path: Path, step: int) -> None:
    """Drop the points after `step`, which will be taken again; at the beginning all."""
    if points := read_points(path):
        _write(path, [one for one in points if 0 < step >= one.step])


def _write(path: Path, points: Collection[Point]) -> None:
    rows = [
        {**asdict(one), "share": round(one.share, 6), "values": dict(one.values), "scored": dict(one.scored)}
        for one in points
    ]
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _point(line: str) -> Point | None:
    """Read one row; None for what is no point."""
    try:
        row: dict[str, Any] = json.loads(line)
        values = tuple((str(name), float(value)) for name, value in row["values"].items())
        sizes = [int(row[name]) for name in ("step", "steps", "instances")]
        seconds = float(row["seconds"])
        tested, sample = row["tested"], row["sample"]
        scored = tuple((str(name), str(value)) for name, value in row.get("scored", {}).items())
    except NOT_AS_WRITTEN:
        return None
    step, steps, instances = sizes
    numbers = [*sizes, seconds, *(value for _, value in values)]
    sound = all(abs(one) < _MOST for one in numbers) and 0 <= step <= steps > 0  # NaN is not below it either
    if not sound or not isinstance(tested, str) or not isinstance(sample, str):
        return None
    return Point(step, steps, tested, instances, sample, seconds, values, scored)
