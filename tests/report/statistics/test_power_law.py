"""Power laws: curves that are known come back, intervals hold them, and too few budgets are refused."""

from __future__ import annotations

import numpy as np
import pytest

from instruct_ablate.report.statistics.power_law import fit

BUDGETS = (8, 16, 32, 64, 128, 256)


def made(amount: float, exponent: float, limit: float, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Values [budgets, seeds, tasks] about a curve."""
    chance = np.random.default_rng(seed)
    curve = amount * np.array(BUDGETS, dtype=float) ** -exponent + limit
    shifts = chance.normal(0, 10 * noise, (1, 1, 20)) + chance.normal(0, noise, (1, 4, 1))
    return curve[:, None, None] + shifts + chance.normal(0, noise, (len(BUDGETS), 4, 20))


@pytest.mark.parametrize(
    ("amount", "exponent", "limit"), [(-60.0, 0.5, 55.0), (4.0, 1.2, 1.0), (-30.0, 0.1, 70.0)]
)
def test_a_curve_without_noise_comes_back(amount: float, exponent: float, limit: float) -> None:
    law = fit(BUDGETS, made(amount, exponent, limit))
    assert law.exponent.value == pytest.approx(exponent, rel=0.03)
    assert law.limit.value == pytest.approx(limit, abs=2.0)
    assert law.doubled.value == pytest.approx(amount * 512**-exponent + limit, abs=0.1)
    assert law.at(64) == pytest.approx(amount * 64**-exponent + limit, abs=0.1)
    assert law.residual < 0.1
    assert not law.bounded


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    truth = -60.0 * 512**-0.5 + 55.0
    laws = [fit(BUDGETS, made(-60.0, 0.5, 55.0, noise=1.0, seed=seed)) for seed in range(12)]
    assert all(one.exponent.low <= one.exponent.value <= one.exponent.high for one in laws)
    assert sum(one.exponent.low <= 0.5 <= one.exponent.high for one in laws) >= 9
    assert sum(one.doubled.low <= truth <= one.doubled.high for one in laws) >= 8
    assert fit(BUDGETS, made(-60.0, 0.5, 55.0, noise=1.0)) == laws[0], (
        "the same values give the same intervals"
    )


@pytest.mark.parametrize("slope", [0.0, 5.0, -5.0])
def test_what_is_no_curve_tells_no_exponent(slope: float) -> None:
    values = np.array([slope * place**3 for place in range(6)])[:, None, None] + np.zeros((6, 2, 3))
    assert fit(BUDGETS, values).bounded


@pytest.mark.parametrize("budgets", [(8, 16, 32), (8, 8, 16, 32), ()])
def test_too_few_budgets_are_refused(budgets: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="three parameters"):
        fit(budgets, np.zeros((len(budgets), 2, 2)))
