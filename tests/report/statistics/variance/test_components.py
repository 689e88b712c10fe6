"""Components: textbook agreement, and nothing that breaks on small or empty variation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.formula.api import ols

from instruct_ablate.report.statistics.variance.components import estimates, mean_squares


def crossed() -> np.ndarray:
    generator = np.random.default_rng(1)
    shared = generator.normal(size=(4, 1)) + generator.normal(size=(1, 12))
    return shared + generator.normal(size=(4, 12))


def test_mean_squares_and_estimates_agree_with_statsmodels():
    differences = crossed()
    frame = pd.DataFrame(
        {
            "d": differences.ravel(),
            "seed": np.repeat(np.arange(4), 12).astype(str),
            "task": np.tile(np.arange(12), 4).astype(str),
        }
    )
    square = sm.stats.anova_lm(ols("d ~ C(seed) + C(task)", frame).fit())["mean_sq"]
    squares = mean_squares(differences)
    expected = (square["C(seed)"], square["C(task)"], square["Residual"])
    assert (squares.seed, squares.unit, squares.rest) == pytest.approx(expected)
    parts = estimates(squares)
    assert parts.rest == pytest.approx(square["Residual"])
    assert parts.unit == pytest.approx((square["C(task)"] - square["Residual"]) / 4)
    typical = stats.f.ppf(0.5, 3, 33)
    assert parts.seed == pytest.approx(max(0.0, (square["C(seed)"] / typical - square["Residual"]) / 12))


def test_many_studies_at_once_come_out_as_one_by_one():
    studies = np.stack([crossed(), 2 * crossed() + 1])
    together = mean_squares(studies)
    for index, study in enumerate(studies):
        alone = mean_squares(study)
        for name in ("mean", "seed", "unit", "rest"):
            assert getattr(together, name)[index] == pytest.approx(getattr(alone, name))


def test_one_seed_does_not_say_how_seeds_vary():
    parts = estimates(mean_squares(crossed()[:1]))
    assert math.isnan(parts.seed)
    assert parts.unit == pytest.approx(crossed()[0].var(ddof=1))
    assert estimates(mean_squares(crossed()[:1]), seed=2.5).seed == 2.5


def test_one_unit_has_no_estimate_and_ties_have_no_variance():
    assert math.isnan(estimates(mean_squares(np.array([[3.0]]))).unit)
    parts = estimates(mean_squares(np.zeros((3, 10))))
    assert (parts.seed, parts.unit, parts.rest) == (0.0, 0.0, 0.0)


def test_two_seeds_and_two_tasks_are_enough_for_all_squares():
    squares = mean_squares(np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]))
    assert (float(squares.mean), float(squares.seed), float(squares.unit), float(squares.rest)) == (
        3.0,
        6.0,
        2.0,
        0.0,
    )
    crossing = mean_squares(np.array([[1.0, 2.0], [4.0, 3.0]]))
    assert (float(crossing.seed), float(crossing.unit), float(crossing.rest)) == (4.0, 0.0, 1.0)
    assert math.isnan(float(mean_squares(np.array([[1.0], [2.0]])).seed)), "one task"
    assert math.isnan(float(mean_squares(np.array([[1.0, 2.0]])).rest)), "one seed"
