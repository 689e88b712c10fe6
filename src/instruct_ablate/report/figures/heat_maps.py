"""Matrices of numbers: training by test instruction, and categories; one line a setting, nothing averaged over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.metrics import Measure, find_measure, find_metric
from instruct_ablate.report.figures.legend import grow_for, names_at_side, names_below, put_legend
from instruct_ablate.report.rows.seed_means import Row
from instruct_ablate.report.rows.trials import TESTS, Trial, trial_name, without_clashes
from instruct_ablate.rounding import written

MOST_COLUMNS = 12  # settings of a matrix of categories; more cannot be read


def heat(axes: Any, values: np.ndarray, names: tuple[Sequence[str], Sequence[str]], digits: int = 1) -> None:
    """Draw a labelled matrix; its numbers stand in its fields."""
    shown = np.ma.masked_invalid(values)
    image = axes.imshow(shown, cmap="cividis", aspect="auto")
    axes.grid(visible=False)
    rows, key = names_at_side(axes, names[0])
    columns, more = names_below(axes, names[1])
    slant = {"rotation": 30, "ha": "right"} if not more else {}
    axes.set_xticks(range(len(columns)), columns, fontsize=7, **slant)
    axes.set_yticks(range(len(rows)), rows, fontsize=7)
    grow_for(axes, len(rows))
    middle = float(np.nanmean(values))
    for (line, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if value < middle else "black"
            axes.text(
                column, line, written(value, digits), ha="center", va="center", fontsize=7, color=colour
            )
    axes.figure.colorbar(image, ax=axes, shrink=0.8)
    put_legend(axes, [*key, *more])


def train_by_test(axes: Any, rows: Sequence[Row], measure: Measure) -> bool:
    """Draw a measure by trained setting and test instruction, over seeds."""
    scored = [row for row in rows if row.mean(measure.name) and not row.setting.untuned]
    legend = Legend(row.setting for row in scored)
    times = Counter((_trained(row), row.tested) for row in scored)
    twice = {trained for (trained, _), count in times.items() if count > 1}
    # Rows of one trained setting share a line, unless one field would have several numbers.
    line_of = {row: row.setting if _trained(row) in twice else _trained(row) for row in scored}
    trained, tested = list(dict.fromkeys(line_of.values())), list(dict.fromkeys(row.tested for row in scored))
    means = {
        (line_of[row], row.tested): mean.value
        for row in scored
        if (mean := row.mean(measure.name)) is not None
    }
    if len(means) <= len(trained):
        return False  # every model was tested in one way only
    values = np.array([[means.get((one, other), np.nan) for other in tested] for one in trained])
    # Of lines that rows share, the lists of tests are nobody's name.
    lines = [
        legend.place(one, *(() if one.get(TESTS) else (TESTS,)), always=("instruction",)) for one in trained
    ]
    heat(axes, values, (lines, tested), measure.digits)
    axes.set(xlabel="tested on", ylabel="trained on", title=measure.label)
    return True


def _trained(row: Row) -> Setting:
    """Return a row's setting, whatever else its cells were tested on."""
    return row.setting.changed(**{TESTS: ()})


def by_category(axes: Any, cells: Sequence[CellRecord], name: str) -> bool:
    """Draw a metric by category and setting, averaged over seeds alone; says which settings had no room."""
    sums: dict[tuple[str, Trial], list[float]] = {}
    for cell in without_clashes(cells):
        for block in cell.blocks:
            for score in block.scores.categories:
                if (value := score.get(name)) is not None:
                    sums.setdefault((score.name, Trial(cell.setting, block.instruction)), []).append(value)
    if not sums:
        return False
    every = list(dict.fromkeys(trial for _, trial in sums))
    shown, legend = every[:MOST_COLUMNS], Legend(trial.setting for trial in every)
    categories = sorted({category for category, _ in sums})
    values = np.array([[np.mean(sums.get((c, trial), [np.nan])) for trial in shown] for c in categories])
    digits = find_measure(name).digits
    heat(axes, values, (categories, [trial_name(trial, legend) for trial in shown]), digits)
    left = f"; {len(shown)} of {len(every)} settings, all in the table" if len(shown) < len(every) else ""
    metric = find_metric(name)
    axes.set(title=f"{metric.heading}, {metric.unit}{left}".replace("\n", " "))
    return True
