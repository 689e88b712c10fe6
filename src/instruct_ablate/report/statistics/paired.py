"""Paired differences: two sides of a study brought to one matrix of seeds by tasks, on shared instances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from instruct_ablate.metrics import Scores, find_measure
from instruct_ablate.report.statistics.components import Matrix

Side = Mapping[int, Scores]  # scores by seed; the untuned model and baselines have the one seed 0


@dataclass(frozen=True, slots=True)
class Pairing:
    """Differences in percentage points with what they are of; `dropped` names tasks only one side has."""

    differences: Matrix  # [seeds, tasks]
    seeds: tuple[int, ...]
    tasks: tuple[str, ...]
    dropped: tuple[str, ...] = ()


def pair(own: Side, other: Side, metric: str, *, seedless: bool = False) -> Pairing | None:
    """Pair two sides by seed and task; None where they share nothing.

    A task counts where both sides scored the same number of its instances, so its mean difference is the mean
    of its instances' differences. A `seedless` other side stands against every seed.
    """
    alone = next(iter(other.values())) if seedless and other else None
    pairs = {seed: (own[seed], alone or other[seed]) for seed in sorted(own) if alone or seed in other}
    if not pairs:
        return None
    values = {seed: (task_values(a, metric), task_values(b, metric)) for seed, (a, b) in pairs.items()}
    every = {key for sides in values.values() for side in sides for key in side}
    shared = sorted(key for key in every if all(key in a and key in b for a, b in values.values()))
    if not shared:
        return None
    matrix = [[a[key] - b[key] for key in shared] for a, b in values.values()]
    dropped = sorted({name for name, _ in every} - {name for name, _ in shared})
    names = tuple(name for name, _ in shared)
    return Pairing(np.asarray(matrix, dtype=np.float64), tuple(values), names, tuple(dropped))


def task_values(scores: Scores, metric: str) -> dict[tuple[str, int], float]:
    """Return a measure by (task, number of instances), over the tasks it is defined for."""
    measure = find_measure(metric)
    found: dict[tuple[str, int], float] = {}
    for task in scores.tasks:
        value = measure.task_value(task)
        if value is not None:
            found[task.score.name, task.score.instances] = value
    return found
