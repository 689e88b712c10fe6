"""Every number of the main table, recomputed by a second, plainer implementation over random small studies."""

from __future__ import annotations

import itertools
import random
import statistics
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.report.verdicts.verdicts import judge
from tests.report.cells import make_cell

AXES: dict[str, list[object]] = {
    "tasks": ["reviews", "other"],
    "instruction": ["original", "simplified", "delusive"],
    "num_positive": [0, 2],
    "data_budget": [2, 10],
    "lr": [1e-5, 1e-4, 1e-2],
    "model": ["tiny", "ämön/7B: x=1, y"],
    "method": ["full", "lora"],
    "decoding": ["greedy", "constrained"],
}
TRAINING = ("instruction", "data_budget", "lr", "method")


@dataclass(frozen=True)
class Point:
    """A cell of a made-up grid: where it is, its seed and what it scored."""

    place: tuple[tuple[str, object], ...]
    seed: int
    score: float

    @property
    def cell(self) -> CellRecord:
        return make_cell(self.score, seed=self.seed, **dict(self.place))  # type: ignore[arg-type]


def expected(points: list[Point], place: dict[str, object]) -> tuple[object, ...]:
    """Return mean, difference to the original and to the untuned model of a place, from the points alone."""

    def at(wanted: dict[str, object]) -> dict[int, float]:
        there = [one for one in points if dict(one.place) == wanted]
        scores = {one.seed: one.score for one in there}
        return (
            scores if len(scores) == len(there) else {}
        )  # what clashes has no number, and is no counterpart

    own = at(place)
    if not own:
        return "clash", None, None
    if place["data_budget"] == 0:
        return statistics.fmean(own.values()), None, None
    beside = {} if place["instruction"] == "original" else at({**place, "instruction": "original"})
    start = at({"data_budget": 0, **{k: v for k, v in place.items() if k not in TRAINING}})
    to_original = [score - beside[seed] for seed, score in own.items() if seed in beside]
    to_untuned = [score - start[0] for score in own.values()] if start else []
    means = [statistics.fmean(values) if values else None for values in (to_original, to_untuned)]
    return (statistics.fmean(own.values()), *means)


@st.composite
def studies(draw: st.DrawFn) -> list[Point]:
    """Two or three axes swept over up to two seeds, some cells missing, one perhaps twice; untuned models too."""
    names = draw(st.lists(st.sampled_from(sorted(AXES)), min_size=2, max_size=3, unique=True))
    fixed = {name: values[0] for name, values in AXES.items()}
    swept = {name: draw(st.sampled_from([AXES[name][:2], AXES[name][-2:]])) for name in names}
    grid = [dict(zip(names, values, strict=True)) for values in itertools.product(*swept.values())]
    places = {tuple(sorted({**fixed, **point}.items())): None for point in grid}
    bare = {
        tuple(sorted({"data_budget": 0, **{k: v for k, v in place if k not in TRAINING}}.items())): None
        for place in places
    }
    score = st.integers(0, 1000).map(lambda tenths: tenths / 10)
    points = [Point(place, seed, draw(score)) for place in places for seed in range(draw(st.integers(0, 2)))]
    points += [Point(place, 0, draw(score)) for place in bare if draw(st.booleans())]
    if points and draw(st.booleans()):
        double = points[draw(st.integers(0, len(points) - 1))]
        points.append(Point(double.place, double.seed, draw(score)))
    return draw(st.permutations(points))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(studies())
def test_every_number_of_the_table(points: list[Point]) -> None:
    rows = build_rows([point.cell for point in points])
    places = {point.place: None for point in points}
    assert len(rows) == len(places), "as many rows as settings"
    for place in places:
        setting = make_cell(1.0, **dict(place)).setting  # type: ignore[arg-type]
        (row,) = [row for row in rows if row.setting == setting]
        mean, to_original, to_untuned = expected(points, dict(place))
        shown = row.mean("exact_match")
        assert ("clash" if row.clash else shown and shown.value) == pytest.approx(mean)
        assert (row.to_reference.value if row.to_reference else None) == pytest.approx(to_original)
        assert (row.to_untuned.value if row.to_untuned else None) == pytest.approx(to_untuned)


CLAIMS = (
    "simplified equals original on exact_match within 2",
    "lora exceeds full on exact_match by 1",
    "trainer.learning_rate=1e-4 is lower than trainer.learning_rate=1e-2 on exact_match",
    "original exceeds untuned on exact_match",
)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(studies(), st.integers(0, 9))
def test_the_order_in_which_cells_are_read_changes_nothing(points: list[Point], number: int) -> None:
    cells = [point.cell for point in points]
    others = random.Random(number).sample(cells, len(cells))
    assert build_rows(cells) == build_rows(others)
    claims = [parse_hypothesis(text) for text in CLAIMS]
    assert repr(judge(cells, claims, "original")) == repr(judge(others, claims, "original"))
