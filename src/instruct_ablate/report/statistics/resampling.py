"""Resampling: hierarchical bootstrap, its percentiles for few units, and the sign-flip permutation test."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from instruct_ablate.report.statistics.components import Components, Matrix

REPLICATES = 10_000


def bootstrap_means(differences: Matrix, parts: Components, seed: int, replicates: int) -> Matrix:
    """Draw means by the hierarchical bootstrap for crossed effects.

    Seed, task and residual effects are estimated, reflated to their variance components and drawn with
    replacement, each level on its own (Carpenter, Goldstein & Rasbash 2003, "reflated" residuals; resampling
    rows and columns as they are would count the rest three times over: Owen 2007).
    """
    seeds, units = differences.shape
    if units < 2:
        return np.full(replicates, parts.mean)
    by_unit = differences.mean(axis=0) - parts.mean
    means = parts.mean + _draw(units, seed, replicates) @ _reflate(by_unit, parts.unit)
    if seeds > 1:
        by_seed = differences.mean(axis=1) - parts.mean
        rest = differences - parts.mean - by_seed[:, None] - by_unit[None, :]
        means = means + _draw(seeds, seed + 1, replicates) @ _reflate(by_seed, parts.seed)
        means = means + _draw(seeds * units, seed + 2, replicates) @ _reflate(rest.ravel(), parts.rest)
    return np.asarray(means)


def _reflate(effects: Matrix, variance: float) -> NDArray[np.float32]:
    """Scale centred effects so that their mean square is the variance component."""
    square = float((effects**2).mean())
    reflated = effects * np.sqrt(variance / square) if square > 0 else np.zeros_like(effects)
    return np.asarray(reflated, dtype=np.float32)


@lru_cache(maxsize=8)
def _draw(count: int, seed: int, replicates: int) -> NDArray[np.float32]:
    """Return `replicates` rows of resampling weights over `count` items; each row sums to one.

    Kept for all comparisons of one shape; single precision, for there may be ten million weights.
    """
    generator = np.random.default_rng([seed, count])
    weights = np.empty((replicates, count), dtype=np.float32)
    for start in range(0, replicates, 1000):
        part = weights[start : start + 1000]
        drawn = generator.integers(0, count, size=part.shape)
        drawn += np.arange(len(part))[:, None] * count
        part[:] = np.bincount(drawn.ravel(), minlength=part.size).reshape(part.shape)
    weights /= count
    return weights


def expanded_percentiles(means: Matrix, parts: Components, level: float) -> tuple[float, float]:
    """Take percentiles widened for few units (Hesterberg 2015, "expanded percentile interval").

    The tail area is that of the normal at Student's t quantile, so small samples are not too confident.
    """
    if not np.isfinite(parts.freedom):
        return (float("nan"), float("nan"))
    if parts.error == 0:
        return (parts.mean, parts.mean)
    t, z = stats.t.ppf(0.5 + level / 2, parts.freedom), stats.norm.ppf(0.5 + level / 2)
    # Far out in the tail percentiles run out of replicates, so beyond t = 3 the draws are stretched instead.
    tail = stats.norm.cdf(-min(t, 3.0))
    low, high = np.quantile(means, [tail, 1 - tail])
    stretch = max(1.0, t / max(3.0, z))
    return (parts.mean - stretch * (parts.mean - low), parts.mean + stretch * (high - parts.mean))


def permutation_p(differences: Matrix, seed: int = 0, replicates: int = REPLICATES) -> float:
    """Paired randomisation test: the sign of each task's difference is flipped (Edgington 1987; two-sided).

    It asks whether the difference is zero for the seeds at hand; `p_difference` also weighs other seeds.
    """
    by_unit = differences.mean(axis=0)
    if by_unit.size < 2:
        return float("nan")
    generator = np.random.default_rng([seed, by_unit.size])
    signs = generator.choice(np.array([-1.0, 1.0]), size=(replicates, by_unit.size))
    extreme = np.abs(signs @ by_unit) >= abs(by_unit.sum()) - 1e-12
    return float((1 + extreme.sum()) / (1 + replicates))
