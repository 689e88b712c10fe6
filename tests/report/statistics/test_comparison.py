"""Comparison: tests agree with statsmodels, interval and verdict with each other, and one seed says that it is one."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from instruct_ablate.report.statistics.comparison import compare, holm
from instruct_ablate.report.statistics.variance.error import Floor
from instruct_ablate.report.statistics.variance.seed_pool import SeedPool


def test_tost_and_t_test_agree_with_statsmodels():
    differences = np.random.default_rng(0).normal(0.4, 1.5, size=(1, 30))
    result = compare(differences, seedless=True)
    described = DescrStatsW(differences[0])
    assert result.p_equivalence(1.0) == pytest.approx(described.ttost_mean(-1.0, 1.0)[0])
    assert result.p_difference == pytest.approx(described.ttest_mean(0.0)[1])
    assert result.p_exceeds(0.1) == pytest.approx(described.ttest_mean(0.1, alternative="larger")[1])
    assert result.p_below(0.9) == pytest.approx(described.ttest_mean(0.9, alternative="smaller")[1])
    assert result.interval95 == pytest.approx(described.tconfint_mean())


def test_interval_and_verdict_are_one_inference():
    generator = np.random.default_rng(1)
    for _ in range(200):
        result = compare(
            generator.normal(0, 0.7, (3, 1))
            + generator.normal(0, 2, (1, 8))
            + generator.normal(0, 2, (3, 8)),
            Floor(generator.uniform(0, 1), 200),
        )
        low, high = result.interval(0.9)
        assert (result.p_equivalence(3.0) < 0.05) == (low > -3 and high < 3)
        assert (result.p_exceeds(0.0) < 0.05) == (low > 0)
        low, high = result.interval95
        assert (result.p_difference < 0.05) == (low > 0 or high < 0)


def test_holm_agrees_with_statsmodels_and_leaves_out_what_cannot_be_tested():
    adjusted = holm([0.01, float("nan"), 0.04, 0.03])
    assert np.isnan(adjusted[1])
    expected = multipletests([0.01, 0.04, 0.03], method="holm")[1]
    assert [adjusted[0], *adjusted[2:]] == pytest.approx(list(expected))
    assert holm([]) == ()
    many = np.random.default_rng(9).beta(0.3, 1.0, size=50)
    many[10] = many[20]
    assert holm(list(many)) == pytest.approx(multipletests(many, method="holm")[1])


def test_ties_without_a_floor_leave_nothing_to_judge_an_error_by():
    """In a unit without bounds (words, nats) no difference seen is no certainty either."""
    for value in (0.0, 3.0, 0.1 + 0.2):
        alike = compare(np.full((3, 5), value))
        assert alike.steady
        assert alike.mean == pytest.approx(value)
        numbers = (*alike.interval95, alike.p_difference, alike.p_equivalence(9.0), alike.p_exceeds(-9.0))
        assert np.isnan(numbers).all()
        assert not alike.design.known
    one = compare(np.full((1, 5), 3.0), seedless=True)
    assert one.steady
    assert np.isnan(one.p_equivalence(9.0))


def test_what_differs_or_has_a_floor_is_tested():
    some = np.zeros((3, 5))
    some[0, 0] = 1e-3
    assert not compare(some).steady
    floored = compare(np.zeros((3, 5)), Floor(1.0, 4.0))
    assert not floored.steady
    assert floored.interval95[0] < 0 < floored.interval95[1]
    assert not compare(np.array([[4.0]])).steady, "one task says nothing of others for another reason"


def test_one_seed_and_no_seeds():
    row = np.random.default_rng(2).normal(size=(1, 20))
    assert compare(row).one_seed
    assert np.isnan(compare(row).components.seed)
    assert not compare(row, seedless=True).one_seed
    assert compare(row, seedless=True).components.seed == 0
    assert not compare(np.vstack([row, row])).one_seed


def test_a_single_number_cannot_be_tested():
    result = compare(np.array([[4.0]]))
    assert result.mean == 4.0
    assert np.isnan(result.p_difference)
    assert np.isnan(result.p_equivalence(2.0))
    assert np.isnan(result.interval95[0])


def test_the_floor_is_part_of_the_design():
    result = compare(np.zeros((3, 10)), Floor(0.25, 500))
    assert result.design.floor == 2.5
    assert result.design.error == pytest.approx(0.5)


def test_intervals_end_where_a_difference_can_be():
    wide = compare(np.array([[90.0, 100.0], [70.0, 20.0]]))
    assert wide.interval95[1] == 100.0
    assert compare(-np.array([[90.0, 100.0], [70.0, 20.0]])).interval95[0] == -100.0
    assert wide.p_difference <= 1.0


def test_effects_are_the_tasks_means_over_seeds():
    found = compare(np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]))
    assert found.effects == (2.0, 3.0, 4.0)
    assert (found.seeds, found.units, found.mean, found.seeds_from) == (2, 3, 3.0, "own")
    assert found.error == pytest.approx(float(found.terms.variance) ** 0.5)
    assert compare(np.array([[1.0, 2.0]]), seedless=True).seeds_from == "none"


def test_seeds_of_other_settings_stand_in_for_ones_own():
    pool = SeedPool(0.5, 0.75, 6.0, 4)
    row = np.random.default_rng(2).normal(size=(1, 20))
    pooled = compare(row, pool=pool)
    assert (pooled.seeds_from, pooled.one_seed, pooled.components.seed) == ("pooled", False, 0.5)
    assert (float(pooled.terms.seed), pooled.terms.seed_freedom) == (0.75, 6.0)
    assert compare(np.vstack([row, row]), pool=pool).seeds_from == "own"
    assert compare(row, pool=pool, seedless=True).seeds_from == "none"


def test_a_comparison_with_seeds_of_its_own_takes_no_others():
    matrix = np.random.default_rng(5).normal(1.0, 2.0, (3, 12))
    pool = SeedPool(variance=50.0, cautious=60.0, freedom=8.0, comparisons=4)
    assert compare(matrix, pool=pool).seeds_from == "own"
    assert compare(matrix, pool=pool).interval95 == compare(matrix).interval95
    assert compare(matrix[:1], pool=pool).interval95 != compare(matrix[:1]).interval95
    assert (
        compare(matrix[:1], pool=pool, seedless=True).interval95
        == compare(matrix[:1], seedless=True).interval95
    )


def test_the_permutation_p_of_a_comparison_is_over_its_tasks_meaned_over_seeds():
    """Of five tasks that all go one way two of the 32 flips are as extreme, whatever single seeds do."""
    by_task = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    noise = 9.0 * np.array([[1.0, -1.0, 1.0, -1.0, 1.0]])
    found = compare(np.concatenate([by_task + noise, by_task - noise]))
    assert found.p_permutation == pytest.approx(2 / 32, abs=0.01)
    assert found.effects == pytest.approx(tuple(by_task))


def test_templates_of_both_sides_widen_the_interval_each_by_its_own():
    """Different sets are samples of their own: the variances of their means add up."""
    matrix = np.random.default_rng(3).normal(2.0, 1.0, (3, 8))
    wordings = np.array([[-6.0], [-2.0], [3.0], [5.0]])
    sides = [times * wordings + np.random.default_rng(times).normal(0.0, 1.0, (4, 8)) for times in (1, 2)]
    plain, both = compare(matrix), compare(matrix, templates=sides)
    alone = [compare(matrix, templates=[side]) for side in sides]
    added = [one.error**2 - plain.error**2 for one in alone]
    assert min(added) > 0
    assert both.error**2 == pytest.approx(plain.error**2 + sum(added))
