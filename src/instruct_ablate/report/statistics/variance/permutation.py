"""The sign-flip permutation test: a look at a difference that assumes no distribution."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from instruct_ablate.report.statistics.variance.components import Matrix

REPLICATES = 10_000


def permutation_p(differences: Matrix, seed: int = 0, replicates: int = REPLICATES) -> float:
    """Paired randomisation test: the sign of each task's difference is flipped (Edgington 1987; two-sided).

    It asks whether the difference is zero for the seeds at hand; `p_difference` also weighs other seeds.
    """
    by_unit = differences.mean(axis=0)
    if by_unit.size < 2:
        return float("nan")
    # Sums of the same numbers in another order round apart: what is as large but for that counts as extreme.
    extreme = np.abs(_signs(by_unit.size, seed, replicates) @ by_unit) >= abs(by_unit.sum()) - 1e-12
    # The signs as they are count as one draw more: of a sample of signs no p may be 0.
    return float((1 + extreme.sum()) / (1 + replicates))


@lru_cache(maxsize=4)
def _signs(count: int, seed: int, replicates: int) -> NDArray[np.float64]:
    generator = np.random.default_rng([seed, count])
    return generator.choice(np.array([-1.0, 1.0]), size=(replicates, count))
