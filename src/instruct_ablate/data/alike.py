"""Which token sequences begin alike, and which of those go together so that the fewest tokens are left to compute.

Found on tokens alone: examples of one task begin alike, and so do those of a task whose definition another one has,
or that are shown under a shared template; with an encoding or a template of its own an example need not.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
WORTH_SHARING = 8  # tokens; a shorter prefix costs more to share than to compute
# Where prompts share for speed alone: on a processor, of two and of four prompts of 300 tokens, 64 shared ones save 4
# and 11 % of a step's time, 32 save 0 and 2 %, and fewer save nothing (docs/benchmarks.md).
PAYS = 32


def shared_prefix(sources: Sequence[Ids]) -> int:
    """Return how many tokens all sources begin with, short of the last token of the shortest.

    The last source token predicts the target's first and so stays with its own example.
    """
    most = min(len(ids) for ids in sources) - 1
    if len(sources) < 2 or most < WORTH_SHARING:
        return 0
    same = np.logical_and.reduce([ids[:most] == sources[0][:most] for ids in sources[1:]])
    prefix = most if same.all() else int(np.argmin(same))
    return prefix if prefix >= WORTH_SHARING else 0


def alike(sources: Sequence[Ids], lengths: Sequence[int], limit: int, least: int = PAYS) -> list[list[int]]:
    """Divide examples into groups that share their prefix, so that the fewest tokens are left; most may stand alone.

    `lengths`: each example's tokens, its target's counted. A group of several has at most `limit` tokens, its prefix
    counted once, of at least `least`. What shares most stands together in the order of a dictionary: of all divisions
    of that order into stretches this is the best, and where the limit cuts no group the best there is. Groups come in
    the order of their first example, examples in their own: where nothing is shared they are left as they came.
    """
    # Numbers that are written from their greatest digit on have the order of their bytes.
    order = sorted(range(len(sources)), key=lambda one: sources[one].astype(">u4").tobytes())
    beside = [shared_prefix([sources[one], sources[other]]) for one, other in itertools.pairwise(order)]
    depths = np.array([prefix if prefix >= least else 0 for prefix in beside], dtype=np.int64)
    starts = _stretches(depths, np.array([lengths[one] for one in order]), limit)
    ends = [*starts, len(order)][1:]
    return sorted(sorted(order[start:end]) for start, end in zip(starts, ends, strict=True))


def _stretches(beside: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], limit: int) -> list[int]:
    """Return where the stretches begin that save most; `beside`: what each example shares with the next one."""
    whole = np.concatenate([[0], np.cumsum(lengths)])
    saved = np.zeros(len(lengths) + 1, dtype=np.int64)  # the most that so many examples save
    first = np.zeros(len(lengths) + 1, dtype=np.int64)  # where their last stretch begins then
    for end in range(1, len(lengths) + 1):
        starts = np.arange(end - 1, -1, -1)
        depths = np.concatenate([[0], np.minimum.accumulate(beside[: end - 1][::-1])])
        spared = depths * (end - 1 - starts)
        # An example alone may be above the limit: it cannot be divided.
        fits = (whole[end] - whole[starts] - spared <= limit) | (starts == end - 1)
        best = int(np.argmax(np.where(fits, saved[starts] + spared, -1)))  # of equal ones the shortest
        saved[end], first[end] = saved[starts[best]] + spared[best], starts[best]
    found, end = [], len(lengths)
    while end:
        end = int(first[end])
        found.append(end)
    return found[::-1]
