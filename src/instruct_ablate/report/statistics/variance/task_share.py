"""Tasks: how far a verdict on their mean hangs on tasks that were not drawn, and a claim on most single tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from instruct_ablate.rounding import exceeds

LEVEL = 0.05
SHARE = 0.9
WHOLE = 100.0  # points: the largest effect that a task can have on percentages


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """What no test on these tasks can see: `share` of all tasks, all of them unlike those drawn.

    `effect` is what each of them would have to do to the difference for the mean to leave its margin.
    """

    share: float
    effect: float


def unseen_share(tasks: int, level: float = LEVEL) -> float:
    """Return the largest share of tasks of which none is drawn with a chance of at least `level`."""
    return float(1 - level ** (1 / tasks))


def vulnerability(mean: float, margin: float, tasks: int, whole: float = WHOLE) -> Vulnerability | None:
    """Say what tasks not drawn could do to "the mean lies within the margin"; None where they could not undo it."""
    share = unseen_share(tasks)
    effect = (margin - (1 - share) * abs(mean)) / share
    return Vulnerability(share, effect) if effect < whole else None


@dataclass(frozen=True, slots=True)
class TaskShare:
    """The claim that at least `share` of all tasks lie within `margin`, from `within` of the `tasks` drawn."""

    within: int
    tasks: int
    share: float
    p_support: float
    p_refute: float


def inside(effect: float, margin: float) -> bool:
    """Whether a task's effect lies within the margin, the margin itself included."""
    return not exceeds(abs(effect), margin)


def share_within(effects: Sequence[float], margin: float, share: float = SHARE) -> TaskShare:
    """Test by the binomial law whether at least this share of tasks lie within the margin.

    An effect is a task's mean difference as measured, with these instances and seeds; no shape of its distribution
    is assumed, so heavy tails do no harm.
    """
    from scipy import stats  # which takes half a second: not every report asks for it

    within, tasks = sum(inside(effect, margin) for effect in effects), len(effects)
    above = float(stats.binom.sf(within - 1, tasks, share))
    return TaskShare(within, tasks, share, above, float(stats.binom.cdf(within, tasks, share)))


def least_tasks(share: float = SHARE, level: float = LEVEL) -> int:
    """Return how many tasks it takes for the claim to be supported at all: 29 for nine tenths."""
    tasks = 1
    while share**tasks > level:
        tasks += 1
    return tasks
