"""Permutation: agreement with scipy, whatever the order of tasks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from instruct_ablate.report.statistics.variance.permutation import permutation_p


def test_permutation_agrees_with_scipy():
    differences = np.random.default_rng(4).normal(0.6, 1.0, size=(1, 14))
    expected = stats.permutation_test(
        (differences[0], np.zeros(14)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        rng=np.random.default_rng(0),
    ).pvalue
    assert permutation_p(differences, 0, 20_000) == pytest.approx(expected, abs=0.01)


def test_the_order_of_seeds_does_not_matter():
    differences = np.random.default_rng(5).normal(size=(3, 9))
    assert permutation_p(differences) == pytest.approx(permutation_p(differences[::-1]), abs=1e-12)


def test_one_task_has_no_permutation():
    assert np.isnan(permutation_p(np.array([[2.0]])))


def test_what_no_flip_reaches_counts_as_one_of_the_flips():
    """Phipson & Smyth (2010): a p-value of permutations is never zero."""
    assert permutation_p(np.ones((1, 60)), replicates=99) == pytest.approx(1 / 100)
    assert permutation_p(np.zeros((1, 60)), replicates=99) == 1.0


def test_two_tasks_have_four_flips():
    assert permutation_p(np.ones((1, 2))) == pytest.approx(0.5, abs=0.02)


def test_ten_thousand_flips_are_drawn():
    assert permutation_p(np.ones((1, 60))) == pytest.approx(1 / 10_001, rel=1e-9)
