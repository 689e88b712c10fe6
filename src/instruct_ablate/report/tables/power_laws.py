"""Curves over budgets: for every setting with four budgets or more, a power law of each measure in its examples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.legend import Legend, heading
from instruct_ablate.cell.state.setting.setting import Setting, Value
from instruct_ablate.metrics import find_measure
from instruct_ablate.report.rows.budgets import KEYS, given_budget, shown, unmet_budgets
from instruct_ablate.report.rows.columns import compared
from instruct_ablate.report.rows.trials import Trial, Trials
from instruct_ablate.report.statistics.paired import Side, task_values
from instruct_ablate.report.statistics.power_law import FEWEST, LEVEL, Interval, PowerLaw, fit
from instruct_ablate.report.tables.tables import Table
from instruct_ablate.rounding import written
from instruct_ablate.tasks.sampling.budget import ALL

NOT_TOLD = "not told"


@dataclass(frozen=True, slots=True)
class OverBudgets:
    """One setting on one measure over its budgets; `trial` is that of the smallest one."""

    trial: Trial
    measure: str
    key: str  # what the budgets are numbers of
    budgets: tuple[float, ...]  # what they came to, where tasks have fewer
    seeds: int
    tasks: int
    law: PowerLaw


def over_budgets(
    cells: Sequence[CellRecord], reference: str, columns: Sequence[str] = ()
) -> tuple[OverBudgets, ...]:
    """Return the curve of every trained setting that was done at four budgets or more, with the same seeds.

    `data_budget=all` is no number, and has no place on a curve; of budgets that came to the same the smallest has.
    """
    unmet = unmet_budgets(cells)
    trials, legend = Trials(cells), Legend(cell.setting for cell in cells)
    lines: dict[object, dict[int, Trial]] = {}
    for trial in trials.scores:
        key, budget = given_budget(trial.setting)
        if budget not in (0, ALL):  # nothing trained, and all that there is: nobody has counted it
            lines.setdefault((key, _but_budget(trial.setting), trial.tested), {})[budget] = trial
    found = [
        _curve(_as_trained(own, unmet), trials, name)
        for own in lines.values()
        for name in compared(cells, columns)
    ]
    there = [one for one in found if one is not None]
    return tuple(
        sorted(there, key=lambda one: (legend.order(one.trial.setting, reference), one.trial.tested))
    )


def _as_trained(own: Mapping[int, Trial], unmet: Mapping[Setting, float]) -> dict[float, Trial]:
    """Return the trials by what their budgets came to, the least first.

    A larger budget that came to no more is the same training. One that was as good as met, or of which an early record
    notes nothing, came to no more than a larger one.
    """
    found: dict[float, Trial] = {}
    most = math.inf
    for budget, trial in sorted(own.items(), reverse=True):
        most = unmet.get(trial.setting, min(budget, most))
        found[most] = trial
    return dict(sorted(found.items()))


def _but_budget(setting: Setting) -> tuple[tuple[tuple[str, Value], ...], object]:
    return tuple(pair for pair in setting.values if pair[0] not in KEYS), setting.revisions


def _curve(own: dict[float, Trial], trials: Trials, measure: str) -> OverBudgets | None:
    """Fit what all budgets have in common: their seeds, and the tasks that the measure is defined for."""
    if len(own) < FEWEST:
        return None
    sides: list[Side] = [trials.scores[trial] for trial in own.values()]
    seeds = sorted(set.intersection(*(set(side) for side in sides)))
    if not seeds:
        return None
    scored = [[task_values(side[seed], measure) for seed in seeds] for side in sides]
    tasks = sorted(set.intersection(*(set(one) for by_seed in scored for one in by_seed)))
    if not tasks:
        return None
    values = np.array([[[one[task] for task in tasks] for one in by_seed] for by_seed in scored])
    first = next(iter(own.values()))
    law = fit(tuple(own), values, (0.0, 100.0) if find_measure(measure).percent else None)
    return OverBudgets(
        first, measure, given_budget(first.setting)[0], tuple(own), len(seeds), len(tasks), law
    )


def power_table(found: Sequence[OverBudgets], legend: Legend) -> Table:
    """Lay them out, a line a setting and measure."""
    keys = [key for key in legend.columns("model", "instruction") if key not in KEYS]
    named = (*map(heading, keys), "tested on", "metric", "over")
    numbers = ("budgets", "seeds", "exponent b", "limit c", "at twice the largest", "largest residual")
    lines = tuple(_line(one, legend, keys) for one in found)
    return Table("Power law", (*named, *numbers), lines, len(named))


def _line(one: OverBudgets, legend: Legend, keys: Sequence[str]) -> tuple[str, ...]:
    law = one.law
    return (
        *(legend.text(one.trial.setting, key) for key in keys),
        one.trial.tested,
        one.measure,
        "examples" if one.key == KEYS[1] else "instances per task",
        f"{shown(one.budgets[0])} to {shown(one.budgets[-1])} ({len(one.budgets)})",
        str(one.seeds),
        NOT_TOLD if law.bounded else _shown(law.exponent),
        NOT_TOLD if law.bounded or not law.possible else _shown(law.limit),
        NOT_TOLD if law.doubled is None else _shown(law.doubled),
        f"{law.residual:.2f}",
    )


def _shown(one: Interval) -> str:
    return f"{written(one.value)} [{written(one.low)}, {written(one.high)}]"


def power_lines(found: Sequence[OverBudgets], legend: Legend) -> Iterator[str]:
    """Yield a sentence a curve, for a terminal."""
    for one in found:
        law, unit = one.law, "examples" if one.key == KEYS[1] else "instances per task"
        place = legend.place(one.trial.setting, *KEYS, always=("model", "instruction"))
        curve = "the budgets tell no exponent" if law.bounded else f"n^-b with b {_shown(law.exponent)}"
        if not law.bounded:
            curve += f" to {_shown(law.limit)}" if law.possible else ", to no limit that can be"
        at = f"at n = {shown(2 * one.budgets[-1])} it foretells"
        yield (
            f"{place}, tested on {one.trial.tested}, {one.measure} over n {unit} ({len(one.budgets)} budgets): "
            f"{curve}; {at} {'what cannot be' if law.doubled is None else _shown(law.doubled)}"
        )


CAPTION = (
    f"a n^-b + c by least squares over budgets of the same seeds and tasks; {100 * LEVEL:.0f} % intervals by "
    "resampling seeds and tasks. What lies beyond the largest budget is foretold, not seen; what lies beyond 0 and "
    f"100 % is {NOT_TOLD}. Budgets are what they came to: where tasks have fewer instances, as many as there are."
)
