"""Templates as a crossed effect: what a mean over a set of templates leaves open for other wordings of the same prompt.

Templates are random, like seeds and tasks. A claim is about an instruction variant, not about the colon or the line
break that it was shown with, and a dozen renderings are a sample of all there could be; held fixed, the set would
pass for them all, and a difference that hangs on one wording for one that holds. Per-template differences are paired:
both sides stand under the same template. d[s, t, p] = mean + seed[s] + task[t] + template[p] + interactions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from instruct_ablate.metrics import Scores
from instruct_ablate.report.statistics.variance.components import Matrix, mean_squares
from instruct_ablate.report.statistics.variance.error import Crossed

if TYPE_CHECKING:
    from instruct_ablate.report.statistics.paired import Pairing

Templates = Mapping[
    str, Mapping[int, Scores]
]  # scores by template and seed; none where there is but one template


def template_effects(
    pairing: Pairing, sides: tuple[Templates, Templates], measure: str
) -> tuple[Matrix, ...]:
    """Return matrices [templates, tasks], meaned over the pairing's seeds, whose templates' variances add up.

    Two sides under the same templates are one matrix of paired differences; a side under one template alone stands
    against each of the other's; different sets are samples of their own, a matrix each.
    """
    left, right = sides
    if not left and not right:
        return ()
    if left and right and left.keys() == right.keys():
        ours, theirs = (_values(pairing, side, tuple(left), measure) for side in sides)
        return (ours - theirs,)
    return tuple(_values(pairing, side, tuple(side), measure) for side in sides if side)


def _values(pairing: Pairing, side: Templates, names: Sequence[str], measure: str) -> Matrix:
    return np.array([_by_task(pairing, side[name], measure) for name in names])


def _by_task(pairing: Pairing, own: Mapping[int, Scores], measure: str) -> Matrix:
    """Return a template's values by task, meaned over seeds; what is not defined is NaN, and so is the error then."""
    from instruct_ablate.report.statistics.paired import task_values

    # An untuned model has one seed, which stands against every seed of the other side.
    alone, places = own[min(own)], tuple(zip(pairing.tasks, pairing.instances, strict=True))
    seeds = [task_values(own.get(seed, alone), measure) for seed in pairing.seeds]
    values = np.array([[one.get(place, np.nan) for place in places] for one in seeds])
    return np.asarray(values.mean(axis=0))


def crossed(effects: Matrix) -> Crossed:
    """Return what the templates' mean square says of the mean over them."""
    squares = mean_squares(effects)
    cells = squares.seeds * squares.units
    return Crossed(squares.seed / cells, squares.rest / cells, squares.seeds - 1.0)
