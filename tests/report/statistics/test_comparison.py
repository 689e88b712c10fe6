"""Statistics: coverage and error rates where the truth is known, and agreement with statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from instruct_ablate.report.statistics.comparison import Comparison, compare, compare_all, holm

# (seeds, tasks, spread between seeds, between tasks, of the rest): clustered data as grids give.
WORLDS = [(1, 12, 0.0, 3.0, 0.0), (1, 40, 0.0, 3.0, 0.0), (3, 30, 0.5, 3.0, 2.5), (5, 30, 1.0, 3.0, 2.5)]


def draw(
    world: tuple[int, int, float, float, float], mean: float, generator: np.random.Generator
) -> np.ndarray:
    seeds, tasks, between_seeds, between_tasks, rest = world
    shared = generator.normal(0, between_seeds, (seeds, 1)) + generator.normal(0, between_tasks, (1, tasks))
    return mean + shared + generator.normal(0, rest, (seeds, tasks))


def simulate(world, mean: float, count: int, replicates: int) -> list[Comparison]:
    generator = np.random.default_rng(11)
    return [compare(draw(world, mean, generator), replicates=replicates) for _ in range(count)]


@pytest.mark.parametrize("world", WORLDS)
def test_intervals_cover_the_truth(world):
    results = simulate(world, 0.0, 1500, 1000)
    assert 0.93 <= np.mean([r.interval95[0] <= 0.0 <= r.interval95[1] for r in results]) <= 0.97


@pytest.mark.parametrize("world", WORLDS)
def test_difference_and_equivalence_tests_hold_their_level(world):
    # Replicates matter to intervals alone, so few of them leave time for many simulated studies.
    results = simulate(world, 2.0, 8000, 2)
    assert np.mean([r.p_equivalence(2.0) < 0.05 for r in results]) <= 0.055
    assert np.mean([2 * min(r.p_exceeds(2.0), 1 - r.p_exceeds(2.0)) < 0.05 for r in results]) <= 0.055


def test_equivalence_is_found_where_it_holds():
    results = simulate((5, 60, 0.1, 1.0, 1.0), 0.0, 100, 10)
    assert np.mean([r.p_equivalence(2.0) < 0.05 for r in results]) > 0.95


def test_tost_and_t_test_agree_with_statsmodels():
    differences = np.random.default_rng(0).normal(0.4, 1.5, size=(1, 30))
    result = compare(differences)
    described = DescrStatsW(differences[0])
    assert result.p_equivalence(1.0) == pytest.approx(described.ttost_mean(-1.0, 1.0)[0])
    assert result.p_difference == pytest.approx(described.ttest_mean(0.0)[1])
    assert result.p_exceeds(0.1) == pytest.approx(described.ttest_mean(0.1, alternative="larger")[1])


def test_interval_form_of_the_equivalence_test():
    result = compare(np.random.default_rng(1).normal(0.0, 1.0, size=(1, 80)))
    inside = result.interval90[0] > -1.0 and result.interval90[1] < 1.0
    assert inside
    assert result.p_equivalence(1.0) < 0.05


def test_holm_agrees_with_statsmodels_and_leaves_out_what_cannot_be_tested():
    adjusted = holm([0.01, float("nan"), 0.04, 0.03])
    assert np.isnan(adjusted[1])
    expected = multipletests([0.01, 0.04, 0.03], method="holm")[1]
    assert [adjusted[0], *adjusted[2:]] == pytest.approx(list(expected))
    assert holm([]) == ()
    many = np.random.default_rng(9).beta(0.3, 1.0, size=50)
    many[10] = many[20]
    assert holm(list(many)) == pytest.approx(multipletests(many, method="holm")[1])


def test_all_ties_and_all_zeros():
    zero = compare(np.zeros((2, 5)))
    assert (zero.mean, zero.interval95, zero.p_difference) == (0.0, (0.0, 0.0), 1.0)
    assert zero.p_equivalence(1.0) == 0.0
    assert zero.p_exceeds(1.0) == 1.0
    shifted = compare(np.full((2, 5), 3.0))
    assert shifted.p_difference == 0.0
    assert shifted.p_equivalence(1.0) == 1.0


def test_a_single_number_is_told_to_be_undecidable():
    result = compare(np.array([[4.0]]))
    assert result.mean == 4.0
    assert np.isnan(result.p_difference)
    assert np.isnan(result.interval95[0])


def test_comparisons_do_not_depend_on_their_company():
    first = np.random.default_rng(2).normal(size=(2, 8))
    other = np.random.default_rng(3).normal(size=(2, 8))
    assert compare_all([first, other])[0] == compare_all([other, first])[1]
