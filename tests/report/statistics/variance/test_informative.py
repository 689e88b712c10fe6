"""Informative: two sides at the floor, the ceiling or the guess say nothing of their difference."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from instruct_ablate.report.statistics.variance.informative import Standing, uninformative


def guess(mean: float) -> Standing:
    return Standing(mean, 600, (("the uniform guess", 50.0),))


@pytest.mark.parametrize(
    ("left", "right", "where"),
    [(0.0, 0.1, "the floor"), (100.0, 99.9, "the ceiling"), (51.0, 48.5, "the uniform guess")],
)
def test_both_sides_where_nothing_moves(left: float, right: float, where: str):
    assert uninformative(guess(left), guess(right)) == f"both sides stand at {where}"


@pytest.mark.parametrize(("left", "right"), [(0.0, 100.0), (0.0, 50.0), (51.0, 60.0), (70.0, 70.0)])
def test_sides_that_stand_apart_or_free_can_be_compared(left: float, right: float):
    assert uninformative(guess(left), guess(right)) is None


def test_sides_that_training_has_not_moved():
    unmoved = Standing(63.0, 600, (("the untuned model's score", 62.0),))
    assert uninformative(unmoved, unmoved) == "both sides stand at the untuned model's score"


def test_the_interval_is_that_of_agresti_and_coull():
    for right in (0, 3, 300):
        expected = np.array(proportion_confint(right, 600, method="agresti_coull"))
        found = np.clip(np.array(Standing(right / 6, 600).interval) / 100, 0, 1)
        assert found == pytest.approx(expected)


def test_ends_of_the_interval_belong_to_it():
    low, high = Standing(30.0, 100).interval
    for level, stands in ((low, True), (high, True), (low - 1e-9, False), (high + 1e-9, False)):
        assert ("it" in Standing(30.0, 100, (("it", level),)).at) is stands


def test_a_side_that_is_all_wrong_stands_at_the_floor_alone():
    assert dict(Standing(0.0, 100).at) == {"the floor": 0.0}
    assert dict(Standing(100.0, 100).at) == {"the ceiling": 100.0}
    assert dict(Standing(50.0, 100).at) == {}
    assert uninformative(Standing(0.0, 100), Standing(100.0, 100)) is None
