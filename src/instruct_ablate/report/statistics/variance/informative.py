"""Informative: whether a comparison could have shown a difference, or both sides stand where nothing moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

FLOOR, CEILING = "the floor", "the ceiling"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a side stands: its mean in percent over so many test instances (seeds share them), and special levels.

    `levels` names what the side could stand at beside 0 and 100: the uniform guess, the untuned model.
    """

    mean: float
    instances: float
    levels: tuple[tuple[str, float], ...] = ()

    @property
    def at(self) -> Mapping[str, float]:
        """The levels that its adjusted 95 % interval (Agresti & Coull 1998) does not tell it from."""
        low, high = self.interval
        known = ((FLOOR, 0.0), (CEILING, 100.0), *self.levels)
        return {name: level for name, level in known if low <= level <= high}

    @property
    def interval(self) -> tuple[float, float]:
        """The adjusted 95 % interval of the mean over test instances."""
        # Wald's interval has no width at 0 and at 100 %, where it is needed here.
        z = float(ndtri(0.975))
        number = self.instances + z**2
        share = (self.mean / 100 * self.instances + z**2 / 2) / number
        half = z * float(np.sqrt(share * (1 - share) / number))
        return 100 * (share - half), 100 * (share + half)


def uninformative(left: Standing, right: Standing) -> str | None:
    """Say why two sides cannot be told apart whatever is done to them; None where they could be."""
    for name in left.at:
        if name in right.at:
            return f"both sides stand at {name}"
    return None
