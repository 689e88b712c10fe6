"""The error of a mean: it covers, holds its level wherever the variance lies, and is one inference."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from instruct_ablate.report.statistics.variance.components import Squares, mean_squares
from instruct_ablate.report.statistics.variance.error import Crossed, Error, Floor, error_of, seed_term
from tests.left_out import left_out
from tests.report.statistics.worlds import World, within_bound

RUNS = 10_000
DESIGNS = [(seeds, tasks) for seeds in (2, 3, 5) for tasks in (6, 12, 57, 119)]
# The second half has the variance where it does most harm: between seeds, with a rest to take off and no tasks'.
WORLDS = [
    World(1.5, 4, 3, 30),
    World(0.5, 3, 2.5, 30),
    World(0.5, 1, 1, 30),
    World(0, 4, 3),
    World(0.7, 0, 3),
    World(2, 0, 3),
    World(10, 1, 1),
]
# Where intervals are widest for what they need: parts alike, tasks that differ by their instances alone, nothing but
# a rest or an instance's noise.
WIDE = [
    World(2, 5, 0),
    World(1, 2, 2, 30),
    World(0, 0, 3, 30),
    World(0, 0, 3),
    World(0, 0, 0, 30),
    World(1.6, 0, 1, 18),
]


@pytest.mark.parametrize("instances", [10, 100])
@pytest.mark.parametrize(("seeds", "tasks"), DESIGNS)
def test_intervals_cover_the_truth_and_tests_hold_their_level(seeds: int, tasks: int, instances: int):
    generator = np.random.default_rng(seeds * 1000 + tasks)
    for world in (*WORLDS, *WIDE):
        means, error = world.errors(RUNS, seeds, tasks, instances, generator)
        wide, narrow = error.half_width(0.05), error.half_width(0.10)
        covered = np.mean(np.abs(means) <= wide)
        assert covered >= 0.93, world
        assert covered <= (0.995 if seeds == 2 else 0.973), world  # 97 %, by its 99.9 % bound
        assert within_bound(1 - covered, 0.055, RUNS), world  # a difference
        assert within_bound(np.mean(means > narrow), 0.055, RUNS), world  # superiority, at its bound
        # Equivalence within 20, the truth at the edge: the mean is 20 + error.
        assert within_bound(np.mean(np.abs(20 + means) + narrow < 20), 0.055, RUNS), world


def test_matrices_say_the_same_as_their_mean_squares():
    world, generator = World(1.5, 4, 3, 30), np.random.default_rng(3)
    matrices, floor = world.draw(RUNS, 3, 12, 10, generator)
    squares = mean_squares(matrices)
    covered = np.mean(np.abs(squares.mean) <= error_of(squares, floor).half_width(0.05))
    means, error = world.errors(RUNS, 3, 12, 10, generator)
    assert covered == pytest.approx(np.mean(np.abs(means) <= error.half_width(0.05)), abs=0.008)


def test_one_satterthwaite_freedom_would_be_rash():
    """What stood here before: one summed variance with one freedom covers 88 % at two seeds."""
    means, error = World(2, 0, 3).errors(RUNS, 2, 30, 100, np.random.default_rng(0))
    seed, unit = error.seed, error.unit
    freedom = (seed + unit) ** 2 / (seed**2 + unit**2 / 29)
    rash = np.mean(np.abs(means) <= stats.t.ppf(0.975, freedom) * np.sqrt(seed + unit))
    assert rash < 0.93 < np.mean(np.abs(means) <= error.half_width(0.05))


@pytest.mark.parametrize(("tasks", "covered"), [(12, 0.84), (57, 0.58)])
def test_one_seed_covers_as_little_as_it_leaves_out(tasks: int, covered: float):
    """Why one seed decides nothing: its interval leaves the seeds' variance out."""
    means, error = World(1.5, 4, 3).errors(RUNS, 1, tasks, 100, np.random.default_rng(0))
    assert np.mean(np.abs(means) <= error.half_width(0.05)) == pytest.approx(covered, abs=0.08)


def test_one_seed_is_the_paired_t_test():
    differences = np.random.default_rng(0).normal(1.0, 2.0, size=(1, 25))
    error = error_of(mean_squares(differences))
    expected = stats.ttest_1samp(differences[0], 0)
    assert 2 * error.p_above(abs(differences.mean())) == pytest.approx(expected.pvalue, rel=1e-6)
    low, high = expected.confidence_interval(0.95)
    assert float(error.half_width(0.05)) == pytest.approx((high - low) / 2)


def test_interval_and_p_value_are_one_inference():
    error = Error(0.3, 2, 0.8, 11, 0.5, 400)
    for alpha in (0.3, 0.05, 0.001, 1e-6):
        assert 2 * error.p_above(float(error.half_width(alpha))) == pytest.approx(alpha, rel=1e-5)
    assert error.p_above(-1.0) == pytest.approx(1 - error.p_above(1.0))


def test_the_floor_is_a_least_error():
    squares = mean_squares(np.zeros((3, 6)))
    assert float(error_of(squares).half_width(0.1)) == 0
    error = error_of(squares, Floor(0.25, 1e6, whole=True))
    assert float(error.half_width(0.1)) == pytest.approx(1.645 * 0.5, rel=1e-3)
    assert error.p_above(0.5) == pytest.approx(stats.norm.sf(1), rel=1e-3)
    part = error_of(squares, Floor(0.25, 1e6))
    assert float(part.half_width(0.1)) == pytest.approx(1.645 * 0.5 * 0.4**0.5, rel=1e-3)
    assert float(part.variance) == float(error.variance) == 0.25


def test_no_error_and_no_estimate():
    none = error_of(mean_squares(np.zeros((2, 5))))
    assert (none.p_above(1.0), none.p_above(-1.0)) == (0.0, 1.0)
    assert np.isnan(error_of(mean_squares(np.array([[2.0]]))).p_above(1.0))


@pytest.mark.parametrize(("seeds", "share"), [(2, 1 / 5), (3, 1 / 3), (6, 1 / 3)])
def test_the_seed_term_takes_off_what_chance_puts_there_in_its_lower_part(seeds: int, share: float):
    units, rest = 10, 4.0
    chance = stats.f.ppf(share, seeds - 1, (seeds - 1) * (units - 1)) * rest
    assert float(seed_term(np.array(9.0), np.array(rest), seeds - 1.0, units)) == pytest.approx(9.0 - chance)
    assert float(seed_term(np.array(chance / 2), np.array(rest), seeds - 1.0, units)) == 0.0


@pytest.mark.parametrize(("seeds", "tasks"), [(2, 12), (3, 57), (5, 57)])
def test_small_levels_hold_too(seeds: int, tasks: int):
    """Before: a seed term that is zero a third of the time let through up to 3 times too much at Holm's first steps."""
    generator = np.random.default_rng(seeds + tasks)
    for world in (World(0.7, 0, 3), World(2, 0, 3), World(1, 0.5, 3)):
        means, error = world.errors(40_000, seeds, tasks, 100, generator)
        for level in (0.05 / 6, 0.05 / 20):
            rate = np.mean(means > error.half_width(2 * level))
            assert within_bound(rate, 1.1 * level, 40_000), (world, level, rate)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 4, 5])
@pytest.mark.parametrize("tasks", [6, 12, 57, 119])
def test_coverage_stays_within_its_bounds_wherever_the_variance_lies(seeds: int, tasks: int):
    """At least 94.5 and at most 97 %, by the 99.9 % bound of each world; chance in the mean is integrated out."""
    generator = np.random.default_rng(tasks)
    shares = (0.0, 1, 4, 16, 64, 1e5)
    worlds = [World((s / tasks) ** 0.5, (t / seeds) ** 0.5, 1.0) for s in shares for t in shares]
    worlds += [World((s / tasks) ** 0.5, 0, 1.0, (10 * t / seeds) ** 0.5) for s in shares for t in shares]
    worlds += [World((s / tasks) ** 0.5, seeds**-0.5, 0.0) for s in shares]
    for world in worlds:
        _, error = world.errors(RUNS, seeds, tasks, 10, generator)
        unit = world.task**2 + world.instance**2 / 10
        true = np.sqrt(world.seed**2 / seeds + unit / tasks + world.rest**2 / (seeds * tasks))
        missed = 2 * stats.norm.sf(error.half_width(0.05) / true)
        bound = 3.09 * missed.std() / RUNS**0.5
        assert 0.03 - bound <= missed.mean() <= 0.055 + bound, world


def test_the_effect_with_fewer_levels_has_its_whole_mean_square():
    many, few = (Error(0.3, seeds, 0.3, tasks, rest=0.3) for seeds, tasks in ((2.0, 60.0), (60.0, 2.0)))
    assert float(many.half_width(0.05)) == pytest.approx(float(few.half_width(0.05)))
    assert float(many.half_width(0.05)) == pytest.approx(stats.t.ppf(0.975, 2) * 0.3**0.5, rel=0.01)
    seedless = Error(1e-12, 2.0, 1.0, 60.0, rest=1.0)
    assert float(seedless.variance) == pytest.approx(0.1), "a tenth of what the tasks alone would say"


def test_between_its_ends_the_freedom_is_between_and_small_levels_ask_for_more():
    error = Error(0.5, 2.0, 0.5, 60.0)
    both = [stats.t.ppf(0.975, freedom) for freedom in (2, 60)]
    assert both[1] < float(error.half_width(0.05)) < np.mean(both)
    tiny = [stats.t.ppf(1 - 5e-7, freedom) for freedom in (2, 60)]
    assert float(error.half_width(1e-6)) == pytest.approx(np.sqrt(np.mean(np.square(tiny))), rel=1e-3)


def test_the_seed_term_grows_as_the_level_falls():
    terms = [
        float(seed_term(np.array(9.0), np.array(4.0), 2.0, 10, alpha)) for alpha in (0.1, 0.05, 0.01, 1e-6)
    ]
    assert terms[0] == terms[1] < terms[2] < terms[3] < 9.0


def squares_of(seeds: int, tasks: int) -> Squares:
    return mean_squares(np.random.default_rng(3).normal(0, 2, (seeds, tasks)))


def test_one_seed_has_no_seed_term_and_no_less_than_one_freedom():
    found = error_of(squares_of(1, 6))
    assert (float(found.seed), float(found.seed_freedom), float(found.rest)) == (0.0, 1.0, 0.0)
    assert float(found.unit_freedom) == 5.0
    assert float(found.unit) == pytest.approx(float(squares_of(1, 6).unit) / 6)


def test_seeds_have_a_freedom_less_than_their_number():
    squares = squares_of(4, 6)
    found = error_of(squares)
    assert (float(found.seed_freedom), float(found.unit_freedom)) == (3.0, 5.0)
    assert float(found.seed) == pytest.approx(float(squares.seed) / 24)
    assert float(found.rest) == pytest.approx(float(squares.rest) / 24)


def test_another_settings_seed_term_is_taken_where_there_is_one():
    other = error_of(squares_of(5, 6))
    found = error_of(squares_of(1, 6), seed=other)
    assert (float(found.seed), float(found.seed_freedom)) == (float(other.seed), 4.0)


def test_without_any_variance_a_bound_is_passed_or_not():
    none = error_of(mean_squares(np.zeros((3, 4))))
    assert [none.p_above(distance) for distance in (1.0, 0.0, -1.0)] == [0.0, 1.0, 1.0]
    assert np.isnan(none.p_above(float("nan")))
    assert np.isnan(none.p_above(float("inf")))


def test_p_of_a_distance_and_of_its_opposite_are_one():
    found = error_of(squares_of(4, 12))
    for distance in (0.1, 0.7, 2.0):
        assert found.p_above(distance) + found.p_above(-distance) == pytest.approx(1.0)
        assert found.p_above(distance) < 0.5
    assert found.p_above(float(found.half_width(0.05))) == pytest.approx(0.025)
    assert found.p_above(1e6) == pytest.approx(1e-15)


def test_templates_widen_it_by_their_own_part():
    one = Crossed(square=2.0, rest=0.0, freedom=3.0)
    found = error_of(mean_squares(np.zeros((3, 6))), crossed=(one,))
    assert float(found.half_width(0.05)) == pytest.approx(stats.t.ppf(0.975, 3) * 2.0**0.5)
    assert float(found.variance) == pytest.approx(2.0)


def test_what_is_left_out():
    assert left_out(Error) == {
        "floor": 0.0,
        "floor_freedom": 1.0,
        "rest": 0.0,
        "units": 2,
        "whole_floor": False,
    }
