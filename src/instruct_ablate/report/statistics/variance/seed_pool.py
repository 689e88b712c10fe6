"""Pooled seeds: the seeds' variance that other settings of a study have measured, for a comparison of one seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri

from instruct_ablate.report.statistics.variance.components import Matrix, mean_squares
from instruct_ablate.report.statistics.variance.error import Error, seed_term

LEAST_FREEDOM = 4.0


@dataclass(frozen=True, slots=True)
class SeedPool:
    """A variance between seeds, with its degrees of freedom and the number of comparisons it was measured on."""

    variance: float  # median-unbiased, for advice
    cautious: float  # what intervals and tests take
    freedom: float
    comparisons: int

    def term(self) -> Error:
        """Return the seed term of the mean of one seed."""
        return Error(self.cautious, self.freedom, 0.0, 1.0)


def pool_seeds(measured: Sequence[tuple[Matrix, Hashable]]) -> SeedPool | None:
    """Pool the seeds' variance over paired differences of two seeds or more, each given with its reference.

    Comparisons with one reference share its seeds: their squares correlate by a quarter, so K of them have the
    freedom of K / (1 + (K - 1) / 4). None where fewer than four degrees of freedom come together.
    """
    usable = [(m, reference) for m, reference in measured if m.shape[0] > 1 and m.shape[1] > 1]
    sharing = Counter(reference for _, reference in usable)
    freedoms = np.array([m.shape[0] - 1.0 for m, _ in usable])
    # Two differences from one reference correlate by a half, and their squares by the square of that.
    effective = float(sum(f / (1 + (sharing[r] - 1) / 4) for f, (_, r) in zip(freedoms, usable, strict=True)))
    if effective < LEAST_FREEDOM:
        return None
    squares = [mean_squares(m) for m, _ in usable]
    seed = float(np.average([s.seed / s.units for s in squares], weights=freedoms))
    rest = float(np.average([s.rest / s.units for s in squares], weights=freedoms))
    units = min(s.units for s in squares)
    typical = float(chdtri(effective, 0.5)) / effective
    cautious = float(seed_term(np.asarray(seed), np.asarray(rest), effective, units))
    return SeedPool(max(0.0, seed / typical - rest), cautious, effective, len(usable))
