"""Outcomes: the least error that test instances leave, binary ones near 0 and 1 and equal ones too."""

from __future__ import annotations

import numpy as np
import pytest

from instruct_ablate.report.statistics.comparison import Comparison, compare
from instruct_ablate.report.statistics.variance.outcomes import (
    Outcomes,
    adjusted_wald,
    paired_floor,
    unpaired_floor,
)


def same(score: float, seeds: int = 3, tasks: int = 6, instances: int = 100) -> Outcomes:
    """Two sides with the same scores on everything."""
    sides = tuple(np.full((seeds, instances), score) for _ in range(tasks))
    return Outcomes(sides, sides)


def compared(outcomes: Outcomes) -> Comparison:
    return compare(outcomes.differences, outcomes.floor)


def test_what_no_instance_told_apart_is_not_equal_for_sure():
    assert np.isnan(compare(np.zeros((3, 6))).p_equivalence(2.0))  # without the floor nothing says how sure
    for score in (0.0, 100.0, 37.5):
        found = compared(same(score, instances=10))
        assert found.p_equivalence(2.0) > 0.05
        assert found.interval(0.9)[1] > 2
        assert found.p_difference == 1.0
    assert compared(same(0.0, tasks=2)).p_equivalence(2.0) > 0.05  # two tasks, whatever their instances


def test_many_equal_outcomes_are_equal():
    assert compared(same(0.0, tasks=12)).p_equivalence(2.0) < 0.05


def test_the_adjusted_wald_form_is_that_of_bonett_and_price():
    """Their example layout: f12 and f21 of n pairs."""
    up, down, pairs = 13, 4, 120
    effect = np.array([1.0] * up + [-1.0] * down + [0.0] * (pairs - up - down))
    p12, p21 = (up + 1) / (pairs + 2), (down + 1) / (pairs + 2)
    expected = (p12 + p21 - (p12 - p21) ** 2) / (pairs + 2)
    found = adjusted_wald((effect**2).mean(), effect.mean(), np.array([pairs]))
    assert found == pytest.approx(expected)
    halves = np.array([60, 60])  # one pseudo-pair each way over the comparison, not for each task
    assert adjusted_wald((effect**2).mean(), effect.mean(), halves) == pytest.approx(expected)


def test_seeds_share_their_instances():
    generator = np.random.default_rng(0)
    one = [generator.normal(0, 0.3, 40) for _ in range(8)]
    floor = paired_floor(one, binary=False)
    assert floor.variance == pytest.approx(1e4 * np.mean([e.var(ddof=1) / 40 for e in one]) / 8)
    assert floor.freedom == 8 * 39
    sides = tuple(50 + 100 * np.stack([e, e, e]) for e in one)
    again = Outcomes(sides, tuple(np.full((3, 40), 50.0) for _ in one)).floor
    assert again.variance == pytest.approx(floor.variance)


def test_noise_of_single_seeds_is_meaned_before_it_counts() -> None:
    """What one seed answers otherwise than another is no noise of the instances: their mean over seeds varies."""
    scores = np.array([[10.0, 90.0, 20.0, 60.0], [70.0, 30.0, 80.0, 20.0], [10.0, 30.0, 20.0, 40.0]] * 2)
    left = tuple(np.concatenate([scores + shift, scores[:, ::-1]], axis=1) for shift in (0.0, 3.0))
    right = tuple(np.full((6, 8), 37.0) for _ in range(2))
    by_hand = [np.var([np.mean(column) for column in side.T], ddof=1) / 8 for side in left]
    assert Outcomes(left, right).floor.variance == pytest.approx(np.mean(by_hand) / 2)


def test_pairs_of_tasks_of_unlike_size_are_counted_by_kish() -> None:
    """Tasks of 10 and 40 instances weigh alike, so that their mean is worth 4 / (1/10 + 1/40) = 32 pairs, not 50."""
    assert adjusted_wald(0.25, 0.1, np.array([10, 40])) == pytest.approx(
        ((0.25 * 32 + 2) / 34 - (0.1 * 32 / 34) ** 2) / 34
    )


def test_tasks_of_unlike_size_and_of_one_instance():
    effects = [np.array([0.1, -0.2, 0.3, 0.4] * 10), np.array([0.2])]
    pooled = ((effects[0] - effects[0].mean()) ** 2).sum() / 39
    expected = (pooled / 40 + pooled) / 2 / 2
    assert paired_floor(effects, binary=False).variance == pytest.approx(1e4 * expected)
    assert np.isfinite(paired_floor([np.array([0.5])] * 3, binary=True).variance)


def test_a_few_differing_scores_are_no_measure_of_noise():
    effects = [np.zeros(100) for _ in range(6)]
    effects[0][3] = 0.01  # one ROUGE score of 600 differs by a point
    assert paired_floor(effects, binary=False).variance > 0.05


def test_unpaired_says_more_than_paired():
    generator = np.random.default_rng(1)
    left = tuple(np.where(generator.random((1, 50)) < 0.7, 100.0, 0.0) for _ in range(9))
    right = tuple(np.where(generator.random(side.shape) < 0.1, 100 - side, side) for side in left)
    paired = Outcomes(left, right).floor
    means = [np.array([side.mean() for side in sides]) for sides in (left, right)]
    floor = unpaired_floor(*means, np.full(9, 50))
    assert floor.variance > paired.variance
    assert "unpaired" in floor.stated
    assert unpaired_floor(np.zeros(9), np.zeros(9), np.full(9, 50)).variance > 0


def draw(generator, shape: tuple[int, int, int], up: float, down: float, shared: bool) -> Outcomes:
    """Binary outcomes: an instance turns right or wrong with these chances, in all seeds alike or in each anew."""
    seeds, tasks, instances = shape
    left, right = [], []
    for _ in range(tasks):
        u = generator.random((1 if shared else seeds, instances))
        u = np.broadcast_to(u, (seeds, instances))
        left.append(np.where(u < up, 100.0, 0.0))
        right.append(np.where((u >= up) & (u < up + down), 100.0, 0.0))
    return Outcomes(tuple(left), tuple(right))


RARE = [(0.0, 0.0), (0.01, 0.0), (0.01, 0.01), (0.05, 0.02), (0.3, 0.25), (0.97, 0.01)]


def coverage(
    seeds: int, tasks: int, instances: int, runs: int, shared: bool
) -> dict[tuple[float, float], float]:
    generator, found = np.random.default_rng([seeds, tasks, instances, shared]), {}
    for up, down in RARE:
        truth, covered = 100 * (up - down), 0
        for _ in range(runs):
            low, high = compared(draw(generator, (seeds, tasks, instances), up, down, shared)).interval95
            covered += low - 1e-9 <= truth <= high + 1e-9
        found[up, down] = covered / runs
    return found


@pytest.mark.parametrize("shared", [True, False])
def test_binary_outcomes_near_0_and_1_are_covered(shared: bool):
    for chances, covered in coverage(3, 6, 10, 100, shared).items():
        assert covered >= 0.93 - 3.09 * (0.93 * 0.07 / 100) ** 0.5, chances


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize(("tasks", "instances"), [(6, 10), (6, 100), (30, 10), (119, 10), (119, 100)])
@pytest.mark.parametrize("shared", [True, False])
def test_binary_outcomes_are_covered_in_every_design(seeds: int, tasks: int, instances: int, shared: bool):
    runs = 200 if tasks < 100 else 100
    for chances, covered in coverage(seeds, tasks, instances, runs, shared).items():
        assert covered >= 0.93 - 3.09 * (0.93 * 0.07 / runs) ** 0.5, chances


def test_means_beyond_the_scale_count_as_at_its_end():
    counts = np.full(3, 50)
    beyond = unpaired_floor(np.full(3, 150.0), np.full(3, -50.0), counts)
    assert beyond == unpaired_floor(np.full(3, 100.0), np.full(3, 0.0), counts)


def test_the_unpaired_floor_is_that_of_two_binomials():
    floor = unpaired_floor(np.full(4, 50.0), np.full(4, 20.0), np.full(4, 1000))
    assert floor.variance == pytest.approx(1e4 * (0.25 + 0.16) / 1000 / 4, rel=0.01)
    assert floor.freedom == 3


def test_the_unpaired_floor_of_two_tasks_and_fewer_has_one_freedom():
    for tasks in (1, 2):
        assert unpaired_floor(np.full(tasks, 50.0), np.full(tasks, 20.0), np.full(tasks, 9)).freedom == 1.0


def test_the_unpaired_floor_does_not_ask_which_side_is_which():
    one, other = np.array([90.0, 95.0, 99.0]), np.array([10.0, 40.0, 50.0])
    assert unpaired_floor(one, other, np.full(3, 9)) == unpaired_floor(other, one, np.full(3, 9))
