"""Pooled seeds: only where there are enough, and with the level held."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from instruct_ablate.report.statistics.comparison import compare
from instruct_ablate.report.statistics.variance.seed_pool import pool_seeds
from tests.report.statistics.worlds import within_bound


def study(generator: np.random.Generator, settings: int, seeds: int, tasks: int = 12) -> list[np.ndarray]:
    """Differences of settings from one reference, whose seeds they share; the last one has one seed."""
    reference = generator.normal(0, 1.5 / 2**0.5, (seeds, 1))
    found = []
    for _ in range(settings):
        own = generator.normal(0, 1.5 / 2**0.5, (seeds, 1))
        noise = generator.normal(0, 4, (1, tasks)) + generator.normal(0, 3, (seeds, tasks))
        found.append(own - reference + noise)
    return [*found[:-1], found[-1][:1]]


def test_four_degrees_of_freedom_are_the_least():
    matrices = study(np.random.default_rng(0), 6, 3)
    assert pool_seeds([(m, "one") for m in matrices[:2]]) is None
    pool = pool_seeds([(m, "one") for m in matrices])
    assert pool is not None
    assert pool.comparisons == 5
    assert pool.freedom == pytest.approx(5 * 2 / (1 + 4 / 4))  # they share a reference
    apart = pool_seeds([(m, index) for index, m in enumerate(matrices)])
    assert apart is not None
    assert apart.freedom == 10


def test_one_seed_alone_pools_nothing():
    assert pool_seeds([(np.zeros((1, 9)), "one")] * 20) is None


def test_a_pooled_seed_covers_where_a_lone_one_does_not():
    generator, alone, pooled = np.random.default_rng(1), [], []
    for _ in range(600):
        matrices = study(generator, 7, 3)
        pool = pool_seeds([(m, "one") for m in matrices])
        alone.append(
            abs(compare(matrices[-1]).mean)
            <= compare(matrices[-1]).interval95[1] - compare(matrices[-1]).mean
        )
        found = compare(matrices[-1], pool=pool)
        pooled.append(found.interval95[0] <= 0 <= found.interval95[1])
    assert np.mean(alone) < 0.92
    assert within_bound(1 - float(np.mean(pooled)), 0.06, 600)


def test_just_four_degrees_of_freedom_are_enough():
    matrices = study(np.random.default_rng(0), 3, 3)
    pool = pool_seeds([(m, index) for index, m in enumerate(matrices)])
    assert pool is not None
    assert (pool.freedom, pool.comparisons) == (4, 2)
    assert (pool.term().seed, pool.term().seed_freedom) == (pool.cautious, 4)
    assert pool_seeds([(study(np.random.default_rng(0), 2, 4)[0], "one")]) is None, "three are not"


def test_its_term_says_nothing_of_tasks():
    pool = pool_seeds([(m, index) for index, m in enumerate(study(np.random.default_rng(0), 4, 3))])
    assert pool is not None
    assert (pool.term().unit, pool.term().floor, pool.term().rest) == (0.0, 0.0, 0.0)
    assert float(pool.term().variance) == pytest.approx(pool.cautious)


def test_two_seeds_of_two_tasks_are_the_least_that_measures():
    generator = np.random.default_rng(3)
    pool = pool_seeds([(generator.normal(size=(2, 2)), index) for index in range(5)])
    assert pool is not None
    assert (pool.comparisons, pool.freedom) == (5, 5)
    assert pool_seeds([(generator.normal(size=(2, 1)), index) for index in range(5)]) is None


def test_squares_of_studies_of_unlike_size_weigh_as_their_freedoms():
    """By hand: 3 seeds over 4 tasks beside 5 seeds over 8, of references of their own."""
    generator = np.random.default_rng(8)
    matrices = [
        generator.normal(0, 2, (seeds, 1)) * 3 + generator.normal(0, 1, (seeds, tasks))
        for seeds, tasks in ((3, 4), (5, 8))
    ]
    squares = []
    for one in matrices:
        means = one.mean(axis=1)
        rest = one - one.mean(axis=1, keepdims=True) - one.mean(axis=0) + one.mean()
        freedom = (one.shape[0] - 1) * (one.shape[1] - 1)
        squares.append(
            (np.var(means, ddof=1), (rest**2).sum() / freedom / one.shape[1])
        )  # of a mean over its tasks
    seed, rest = (np.average(part, weights=[2, 4]) for part in zip(*squares, strict=True))
    found = pool_seeds([(matrices[0], "one"), (matrices[1], "other")])
    assert found is not None
    assert (found.freedom, found.comparisons) == (6.0, 2)
    assert found.variance == pytest.approx(seed / (stats.chi2.median(6) / 6) - rest)
    # a third of the chance that 4 tasks, the fewer, leave
    assert found.cautious == pytest.approx(seed - stats.f.ppf(1 / 3, 6, 6 * 3) * rest)
