"""Contrasts: the pairs of settings in a study that a claim is about, one for each model, budget and so on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from instruct_ablate.cell.state.record import Axes, CellRecord
from instruct_ablate.hypotheses import Clause
from instruct_ablate.metrics import Scores
from instruct_ablate.report.rows import answers_by_itself
from instruct_ablate.report.statistics.paired import Side

DECODINGS = ("greedy", "constrained", "rank", "rank_normalized")


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting as tested: axes without the seed, and the test instruction."""

    axes: Axes
    tested: str


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two sides and the place they share; `seedless`: the right side has no seeds of its own."""

    place: Axes
    left: Side
    right: Side
    seedless: bool


Scored = Mapping[Trial, Side]


def scored_trials(cells: Iterable[CellRecord]) -> Scored:
    """Gather the scores of done cells by trial and seed."""
    found: dict[Trial, dict[int, Scores]] = {}
    for cell in cells:
        for block in cell.blocks if cell.state == "done" else ():
            trial = Trial(replace(cell.axes, seed=0), block.instruction)
            found.setdefault(trial, {})[cell.axes.seed] = block.scores
    return found


def contrasts(scored: Scored, clause: Clause, reference: str) -> tuple[Contrast, ...]:
    """Find every pair of trials that a clause speaks of."""
    found = []
    for trial in scored:
        if not _is_left(trial, clause, reference):
            continue
        right = next((other for other in scored if _is_right(other, trial, clause, reference)), None)
        if right is not None:
            seedless = right.axes.untuned and not trial.axes.untuned
            found.append(Contrast(trial.axes, scored[trial], scored[right], seedless))
    return tuple(sorted(found, key=lambda contrast: order(Trial(contrast.place, ""))))


def order(trial: Trial) -> tuple[str, str, int, str]:
    """Sort trials as people read them: by model and method, then budgets by size."""
    return trial.axes.model, trial.axes.method, trial.axes.data_budget, str(trial)


def _is_left(trial: Trial, clause: Clause, reference: str) -> bool:
    return _plays(trial, clause.left, clause, reference)


def _is_right(other: Trial, trial: Trial, clause: Clause, reference: str) -> bool:
    """Whether `other` plays the right side and differs from `trial` in what the clause names alone."""
    if not _plays(other, clause.right, clause, reference):
        return False
    if other.axes.untuned and not trial.axes.untuned:
        # a trained model stands against an untuned one only where the clause names that one
        return (
            clause.right in ("untuned", other.axes.model)
            and _same_place(other.axes, trial.axes, _shared(other.axes))
            and other.tested in (trial.tested, reference)
            and other.axes.model in (clause.right, trial.axes.model)
        )
    free = {name: getattr(trial.axes, name) for name in ("instruction", "num_positive")}
    if clause.right in DECODINGS:
        free["decoding"] = trial.axes.decoding
    alike = clause.where != "training" or other.tested == trial.tested
    return alike and replace(other.axes, **free) == trial.axes


def _plays(trial: Trial, side: str, clause: Clause, reference: str) -> bool:
    """Whether a trial is what one side of a clause names."""
    axes = trial.axes
    if side == "untuned":
        return axes.untuned and axes.model not in (clause.left, clause.right)
    if side in DECODINGS:
        return axes.decoding == side
    if side == axes.model:
        return True
    if axes.untuned:
        return clause.where == "test" and trial.tested == side
    if clause.where == "test":
        return axes.instruction == reference and trial.tested == side
    if clause.where == "training":
        return axes.instruction == side and trial.tested == reference
    return axes.instruction == side and trial.tested == side


def _shared(axes: Axes) -> tuple[str, ...]:
    """Name what an untuned side shares with a trained one; baselines and imported answers know prompts of their own."""
    return ("tasks",) if answers_by_itself(axes) else ("tasks", "prompt", "decoding")


def _same_place(one: Axes, other: Axes, names: Iterable[str]) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in names)
