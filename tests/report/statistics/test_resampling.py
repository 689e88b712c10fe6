"""Resampling: intervals agree with theory where there is one, and do not depend on the order of cells."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from instruct_ablate.report.statistics.components import components
from instruct_ablate.report.statistics.resampling import bootstrap_means, expanded_percentiles, permutation_p


def test_bootstrap_spread_is_the_standard_error():
    differences = np.random.default_rng(0).normal(1.0, 3.0, size=(4, 40))
    parts = components(differences)
    means = bootstrap_means(differences, parts, 0, 20_000)
    assert means.mean() == pytest.approx(parts.mean, abs=0.02)
    assert means.std() == pytest.approx(parts.error, rel=0.03)


def test_interval_is_close_to_students_t_for_normal_data():
    differences = np.random.default_rng(3).normal(0.5, 2.0, size=(1, 15))
    parts = components(differences)
    low, high = expanded_percentiles(bootstrap_means(differences, parts, 0, 20_000), parts, 0.95)
    expected = stats.t.interval(0.95, 14, loc=parts.mean, scale=parts.error)
    assert (low, high) == pytest.approx(expected, abs=0.15)  # these data are a little skew


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


def test_order_of_seeds_and_tasks_does_not_matter_for_the_interval_centre():
    differences = np.random.default_rng(5).normal(size=(3, 9))
    parts, turned = components(differences), components(differences[::-1, ::-1])
    assert (
        parts == pytest.approx(turned)
        if isinstance(parts, tuple)
        else parts.error == pytest.approx(turned.error)
    )
    assert permutation_p(differences) == pytest.approx(permutation_p(differences[::-1]), abs=1e-12)


def test_ties_give_a_point_interval():
    differences = np.full((2, 6), 1.5)
    parts = components(differences)
    assert expanded_percentiles(bootstrap_means(differences, parts, 0, 100), parts, 0.95) == (1.5, 1.5)


def test_one_task_has_no_permutation():
    assert np.isnan(permutation_p(np.array([[2.0]])))
