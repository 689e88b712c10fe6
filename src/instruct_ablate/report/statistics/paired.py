"""Paired differences: two sides of a study brought to one matrix of seeds by tasks, on shared instances."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from instruct_ablate.metrics import Scores, find_measure
from instruct_ablate.plural import named
from instruct_ablate.report.statistics.variance.components import Matrix
from instruct_ablate.report.statistics.variance.error import Floor
from instruct_ablate.report.statistics.variance.informative import Standing
from instruct_ablate.report.statistics.variance.outcomes import Outcomes, unpaired_floor

NAMED = 3  # tasks left out that are named
Side = Mapping[int, Scores]  # scores by seed; the untuned model and baselines have the one seed 0


@dataclass(frozen=True, slots=True)
class Pairing:
    """Both sides' percentages by seed and task, with what they are of; `dropped` names tasks only one side has."""

    left: Matrix  # [seeds, tasks]
    right: Matrix
    seeds: tuple[int, ...]
    tasks: tuple[str, ...]
    instances: tuple[int, ...]  # by task
    dropped: tuple[str, ...] = ()
    levels: tuple[
        tuple[str, tuple[float, ...]], ...
    ] = ()  # where a side may stand for reasons of its own: the uniform guess; by seed, NaN where it is not known
    outcomes: Outcomes | None = None  # single scores, where they are at hand
    templates: tuple[
        Matrix, ...
    ] = ()  # effects [templates, tasks] over seeds, where there are several templates
    percent: bool = True  # whether the metric has a floor of 0 and a ceiling of 100
    same: tuple[int, ...] = ()  # seeds that are one repetition, of which the first stands for all

    @property
    def differences(self) -> Matrix:
        """Left less right, in percentage points or the metric's own unit."""
        return self.left - self.right

    @property
    def floor(self) -> Floor:
        """What the test instances leave open: from their paired scores, else as if they were unpaired."""
        if self.outcomes is not None:
            return self.outcomes.floor
        if not self.percent:
            # p (1 - p) bounds what lies between 0 and 1; without such ends a mean says nothing of how instances vary.
            return Floor(0.0, 1.0)
        counts = np.array(self.instances, dtype=np.float64)
        # Seeds share their test instances: more of them leave no less open.
        return unpaired_floor(self.left.mean(axis=0), self.right.mean(axis=0), counts)

    @property
    def standings(self) -> tuple[Standing, Standing] | None:
        """Where the two sides stand, over the test instances that all seeds share; None without floor and ceiling."""
        if not self.percent:
            return None
        return self._standings(slice(None))

    def seed_standings(self, row: int) -> tuple[Standing, Standing] | None:
        """The same of one seed alone."""
        return self._standings(slice(row, row + 1)) if self.percent else None

    def _standings(self, rows: slice) -> tuple[Standing, Standing]:
        # Kish's effective number, as in `adjusted_wald`: tasks weigh alike, however many instances each has.
        pairs = len(self.tasks) ** 2 / sum(1 / count for count in self.instances)
        known = ((name, [one for one in values[rows] if not math.isnan(one)]) for name, values in self.levels)
        levels = tuple((name, float(np.mean(values))) for name, values in known if values)
        ours, theirs = (Standing(float(side[rows].mean()), pairs, levels) for side in (self.left, self.right))
        return ours, theirs

    def swapped(self) -> Pairing:
        """Return the pairing with its sides exchanged."""
        outcomes = Outcomes(self.outcomes.right, self.outcomes.left) if self.outcomes else None
        return replace(self, left=self.right, right=self.left, outcomes=outcomes)


def pair(
    own: Side, other: Side, metric: str, *, seedless: bool = False, once: bool = False
) -> Pairing | None:
    """Pair two sides by seed and task; None where they share nothing.

    A task counts where both sides scored the same number of its instances, so its mean difference is the mean
    of its instances' differences. A `seedless` other side stands against every seed; with `once` all seeds are one
    repetition, that of the first.
    """
    alone = one_for_all(other) if seedless else None
    pairs = {seed: (own[seed], alone or other[seed]) for seed in sorted(own) if alone or seed in other}
    same = tuple(pairs) if once and len(pairs) > 1 else ()
    pairs = {seed: pairs[seed] for seed in (same[:1] or pairs)}
    if not pairs:
        return None
    values = {seed: (task_values(a, metric), task_values(b, metric)) for seed, (a, b) in pairs.items()}
    every = {key for sides in values.values() for side in sides for key in side}
    shared = sorted(key for key in every if all(key in a and key in b for a, b in values.values()))
    if not shared:
        return None
    left, right = (
        np.array([[sides[side][key] for key in shared] for sides in values.values()]) for side in (0, 1)
    )
    names, counts = zip(*shared, strict=True)
    dropped = sorted({name for name, _ in every} - set(names))
    guess = _guess([ours for ours, _ in pairs.values()], metric, names)
    percent = find_measure(metric).percent
    return Pairing(
        left, right, tuple(values), names, counts, tuple(dropped), guess, percent=percent, same=same
    )


def dropped_words(dropped: Sequence[str]) -> str:
    """Name the tasks that a comparison leaves out; empty where it leaves out none."""
    if not dropped:
        return ""
    return f"left out, for not both sides have them on as many instances: {named(dropped, NAMED)}"


def same_words(same: Sequence[int]) -> str:
    """Say which seeds of a comparison are one repetition; empty where none are."""
    return f"seeds {', '.join(map(str, same))} have the same answers: one repetition" if same else ""


def in_some(pairings: Iterable[tuple[Sequence[str], Sequence[int]]]) -> tuple[str, ...]:
    """Say what some of many comparisons leave out (`dropped`), and count once (`same`), each in a sentence."""
    every = tuple(pairings)
    dropped = sorted({task for tasks, _ in every for task in tasks})
    same = sorted({seed for _, seeds in every for seed in seeds})
    told = (f"tasks are {dropped_words(dropped)}" if dropped else "", same_words(same))
    return tuple(f"In some, {one}." for one in told if one)


def one_for_all(side: Side) -> Scores | None:
    """Return the scores that stand against every seed; None where the side has seeds of its own.

    An untuned model that is shown examples drawn by the seed has, and so has a baseline that is drawn.
    """
    every = list(side.values())
    return every[0] if every and all(one == every[0] for one in every) else None


def _guess(
    sides: Sequence[Scores], metric: str, names: Sequence[str]
) -> tuple[tuple[str, tuple[float, ...]], ...]:
    """Return the uniform guess over these tasks as a level that a side may stand at, seed by seed."""
    if metric != "exact_match":
        return ()
    found = []
    for scores in sides:
        guesses = [task.score.get("uniform_guess") for task in scores.tasks if task.score.name in names]
        known = [guess for guess in guesses if guess is not None]
        # Over some of the tasks it would be another level than the one that the sides could stand at.
        found.append(float(np.mean(known)) if len(known) == len(names) else math.nan)
    return () if all(map(math.isnan, found)) else (("the uniform guess", tuple(found)),)


def task_values(scores: Scores, metric: str) -> dict[tuple[str, int], float]:
    """Return a measure by (task, number of instances), over the tasks it is defined for."""
    measure = find_measure(metric)
    found: dict[tuple[str, int], float] = {}
    for task in scores.tasks:
        value = measure.task_value(task)
        if value is not None:
            found[task.score.name, task.score.instances] = value
    return found
