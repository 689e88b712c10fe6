"""Components: textbook agreement, and nothing that breaks on small or empty variation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.formula.api import ols

from instruct_ablate.report.statistics.components import components


def test_one_seed_is_the_paired_t_test():
    differences = np.random.default_rng(0).normal(1.0, 2.0, size=(1, 25))
    parts = components(differences)
    assert parts.freedom == 24
    assert parts.mean / parts.error == pytest.approx(stats.ttest_1samp(differences[0], 0).statistic)


def test_mean_squares_agree_with_statsmodels():
    generator = np.random.default_rng(1)
    shape = (4, 12)
    differences = (
        generator.normal(size=(4, 1)) + generator.normal(size=(1, 12)) + generator.normal(size=shape)
    )
    frame = pd.DataFrame(
        {
            "d": differences.ravel(),
            "seed": np.repeat(np.arange(4), 12).astype(str),
            "task": np.tile(np.arange(12), 4).astype(str),
        }
    )
    table = sm.stats.anova_lm(ols("d ~ C(seed) + C(task)", frame).fit())
    square = table["mean_sq"]
    parts = components(differences)
    assert parts.rest == pytest.approx(square["Residual"])
    assert parts.unit == pytest.approx((square["C(task)"] - square["Residual"]) / 4)
    typical = stats.f.ppf(0.5, 3, 33)
    assert parts.seed == pytest.approx(max(0.0, (square["C(seed)"] / typical - square["Residual"]) / 12))


def test_all_ties_have_no_error():
    parts = components(np.zeros((3, 10)))
    assert (parts.mean, parts.error) == (0.0, 0.0)
    assert parts.freedom >= 1


def test_one_unit_has_no_estimate():
    assert math.isnan(components(np.array([[3.0]])).error)


def test_seed_effect_widens_the_error():
    generator = np.random.default_rng(2)
    flat = generator.normal(size=(4, 30))
    shifted = flat + np.array([[-2.0], [0.5], [1.0], [2.5]])
    assert components(shifted).error > 3 * components(flat).error
