"""Comparisons of one study: each with its floor, and with the others' seeds where it has one seed alone."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from instruct_ablate.report.statistics.comparison import LIMIT, Comparison, compare
from instruct_ablate.report.statistics.paired import Pairing
from instruct_ablate.report.statistics.variance.informative import uninformative
from instruct_ablate.report.statistics.variance.seed_pool import SeedPool, pool_seeds


@dataclass(frozen=True, slots=True)
class Tried:
    """A pair of settings to compare on one metric."""

    pairing: Pairing
    reference: Hashable  # the side whose seeds other comparisons share
    seedless: bool = False  # neither side has seeds: untuned models and baselines
    untrained: bool = False  # both sides are an untuned model, in a study that trains

    @property
    def uninformative(self) -> str | None:
        """Why the comparison could not have shown a difference."""
        standings = self.pairing.standings
        return uninformative(*standings) if standings else None

    @property
    def stays_uninformative(self) -> bool:
        """Whether that holds of every seed by itself, so that further ones will hardly change it."""
        return all(
            (standings := self.pairing.seed_standings(row)) is not None and uninformative(*standings)
            for row in range(len(self.pairing.seeds))
        )


def compare_all(tried: Sequence[Tried]) -> tuple[Comparison, ...]:
    """Compare pairs of one study on one metric; those of one seed take the seeds' variance of the others.

    Where nothing moves seeds do not vary either: what is uninformative measures no seeds for others.
    """
    measured = [one for one in tried if one.uninformative is None and not _compared(one, None).steady]
    pool = pool_seeds([(one.pairing.differences, one.reference) for one in measured])
    return tuple(_compared(one, pool) for one in tried)


def _compared(one: Tried, pool: SeedPool | None) -> Comparison:
    limit = LIMIT if one.pairing.percent else math.inf
    found = compare(
        one.pairing.differences,
        one.pairing.floor,
        seedless=one.seedless,
        pool=pool,
        templates=one.pairing.templates,
    )
    return replace(found, limit=limit)
