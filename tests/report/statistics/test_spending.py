"""Spending: levels of looks have the law they claim, and hold over all looks and Holm wherever the variance lies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr, stdtr, stdtrit

from instruct_ablate.report.statistics.spending import (
    FIRST,
    look_level,
    nominal_levels,
    sequential_p,
    spent,
)
from tests.report.statistics.sequences import QUIET, SEEDS_ALONE, SEEDY, TYPICAL, Plan, false_decisions
from tests.report.statistics.worlds import World, within_bound

WORLDS = [
    TYPICAL,
    SEEDY,
    SEEDS_ALONE,
    QUIET,
    World(0.7, 0, 3),
    World(2, 0, 3),
    World(10, 1, 1),
    World(0, 4, 3),
]


@pytest.mark.parametrize("seeds", [5, 8])
def test_what_looks_reject_is_what_was_spent(seeds: int):
    count, level = 200_000, 0.05
    values = np.random.default_rng(seeds).normal(size=(count, seeds))
    rejected = np.zeros(count, dtype=bool)
    for look, own in enumerate(nominal_levels(level, seeds), FIRST):
        error = values[:, :look].std(axis=1, ddof=1) / look**0.5
        rejected |= stdtr(look - 1, -values[:, :look].mean(axis=1) / error) < own
        assert rejected.mean() == pytest.approx(spent(level, look / seeds), abs=0.002)


def test_the_last_of_three_seeds_spends_what_is_left_as_areas_of_the_sphere_have_it():
    """The direction of three normal values is even on the sphere: t of the first two is tan(a) there."""
    first, last = (stdtrit(look - 1, 1 - own) for look, own in enumerate(nominal_levels(0.05, 3), FIRST))
    open_share = np.arctan(first) / np.pi + 0.5
    angle = (np.arange(1_500) + 0.5)[:, None] / 1_500 * open_share * np.pi - np.pi / 2
    third = (np.arange(2_000) + 0.5)[None, :] / 1_000 - 1
    total = 2**0.5 * np.sqrt(1 - third**2) * np.sin(angle) + third
    rejected = total / np.sqrt((3 - total**2) / 2) > last
    assert open_share == pytest.approx(1 - spent(0.05, 2 / 3))
    assert open_share * np.mean(rejected) == pytest.approx(0.05 - spent(0.05, 2 / 3), abs=2e-5)


def test_the_law_of_large_samples_would_be_rash():
    """Levels that a normal random walk gives for the same spending are larger at every later look."""
    normal = (0.0126, 0.0163, 0.0241, 0.0335)  # Kim & DeMets, power 1.5, looks at 0.4, 0.6, 0.8, 1
    assert all(own < other for own, other in zip(nominal_levels(0.05, 5)[1:], normal[1:], strict=True))


def test_two_seeds_are_one_look_with_all_of_the_level():
    assert nominal_levels(0.05, 2) == pytest.approx((0.05,))
    assert (look_level(0.05, 2, 2), look_level(0.05, 1, 5)) == (0.05, 0.05)
    assert sequential_p(0.03, 2, 2) == 0.03


def test_a_p_value_over_all_looks_is_the_level_at_which_its_look_rejects():
    for level, exact in ((0.2, 0.01), (0.05, 1e-6), (0.025, 1e-6), (0.01, 0.03)):
        for look, own in enumerate(nominal_levels(level, 5), FIRST):
            assert sequential_p(own, look, 5) == pytest.approx(level, rel=exact)
    grid = [sequential_p(p, 3, 5) for p in (0.9, 0.4, 0.1, 0.01, 1e-5, 1e-9, 1e-15, 0.0)]
    assert grid == sorted(grid, reverse=True)
    assert (grid[0], grid[-1]) == (1.0, 0.0)
    assert np.isnan(sequential_p(float("nan"), 3, 5))


@pytest.mark.parametrize("seeds", [5, 8])
def test_more_seeds_than_planned_test_as_the_last_look_does(seeds: int):
    assert look_level(0.05, seeds + 3, seeds) == look_level(0.05, seeds, seeds)


@pytest.mark.parametrize("world", [SEEDY, World(2, 0, 3), World(10, 1, 1)])
def test_false_decisions_over_all_looks_and_holm(world: World):
    generator, count = np.random.default_rng(1), 3_000
    for places in (1, 4):
        for rate in false_decisions(Plan(world, 5, 12), places, count, generator):
            assert within_bound(rate, 0.05, count), (world, places, rate)


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "tasks"), [(5, 12), (5, 57), (8, 12)])
def test_false_decisions_over_all_looks_and_holm_in_every_world(seeds: int, tasks: int):
    generator, count = np.random.default_rng(seeds + tasks), 10_000
    for world in WORLDS:
        for places in (1, 6):
            for rate in false_decisions(Plan(world, seeds, tasks), places, count, generator):
                assert within_bound(rate, 0.05, count), (world, places, rate)


def test_the_ends_of_the_table_meet_its_inside():
    look, seeds = 3, 5
    least, most = nominal_levels(1e-8, seeds)[look - FIRST], float(ndtr(-0.05))
    largest = nominal_levels(most, seeds)[look - FIRST]
    assert sequential_p(largest * 0.999, look, seeds) == pytest.approx(most, rel=2e-3)
    assert sequential_p(largest * 1.001, look, seeds) == 1.0
    assert sequential_p(least / 2, look, seeds) == pytest.approx(1e-8 / 2, rel=0.05), "in proportion below it"
