"""Scores over the share of training: the means over the seeds of a setting, as a table and as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.disk.score_curve import FILE, HELD_OUT, Point, read_points, scored_by_text
from instruct_ablate.grid.study import Study
from instruct_ablate.metrics import Measure, find_measure
from instruct_ablate.report.figures.legend import put_legend
from instruct_ablate.report.figures.styles import Styles
from instruct_ablate.report.rows.columns import shown_measures
from instruct_ablate.report.rows.trials import without_clashes
from instruct_ablate.report.tables.tables import Table

MOST = 8  # lines of a figure
SHOWN = ("instruction", "data_budget")  # in a line's name in any case


@dataclass(frozen=True, slots=True)
class ScoreCurve:
    """The points of a setting's done cells under one test instruction, on one sample, by share."""

    setting: Setting
    name: str
    tested: str
    by_share: tuple[tuple[float, tuple[Point, ...]], ...]
    chosen: tuple[float, ...] = ()  # share of each cell whose weights were chosen

    def means(self, measure: str) -> tuple[tuple[float, float], ...]:
        """Return share and mean over the seeds, where the measure is defined."""
        found = [(share, _values(points, measure)) for share, points in self.by_share]
        return tuple((share, sum(values) / len(values)) for share, values in found if values)


def _values(points: Sequence[Point], measure: str) -> list[float]:
    return [value for point in points if (value := dict(point.values).get(measure)) is not None]


def score_curves(study: Study) -> tuple[ScoreCurve, ...]:
    """Return the curves of a study; points of different samples of the test instances are never averaged."""
    legend = Legend(cell.setting for cell in study.cells if not cell.setting.untuned)
    grouped: dict[tuple[Setting, str, str], dict[float, list[Point]]] = {}
    chosen: dict[Setting, list[float]] = {}
    for cell in without_clashes(study.cells):
        if cell.selected is not None:
            chosen.setdefault(cell.setting, []).append(_share(cell.selected.step / cell.selected.steps))
        for point in read_points(study.folder / cell.name / FILE):
            shares = grouped.setdefault((cell.setting, point.tested, point.sample), {})
            shares.setdefault(_share(point.share), []).append(point)
    return tuple(
        ScoreCurve(
            setting,
            legend.place(setting, always=SHOWN),
            tested,
            tuple((share, tuple(shares[share])) for share in sorted(shares)),
            tuple(chosen.get(setting, ())),
        )
        for (setting, tested, _), shares in grouped.items()
    )


def _share(share: float) -> float:
    return round(share, 4)


def score_curve_table(study: Study) -> Table:
    """A line a setting, test instruction and share of training."""
    curves = score_curves(study)
    defined = {
        name for curve in curves for _, points in curve.by_share for one in points for name, _ in one.values
    }
    measures = [name for name in shown_measures(study.cells, study.columns) if name in defined]
    apart = _scored_apart(curves)
    lines = [
        (curve.name, curve.tested, f"{share:.0%}", str(len(points)), *_chosen(curve, share, curves),
         str(points[0].instances), *([scored_by_text(points)] if apart else []),
         *_means(points, measures))
        for curve in curves
        for share, points in curve.by_share
    ]  # fmt: skip
    names = (find_measure(name).heading.replace("\n", " ") for name in measures)
    choosing = ("chosen",) if any(curve.chosen for curve in curves) else ()
    scored = ("scored by",) if apart else ()
    headings = ("setting", "tested on", "training done", "cells", *choosing, "instances", *scored, *names)
    return Table("Scores while training", headings, tuple(lines), 3)


def _chosen(curve: ScoreCurve, share: float, curves: Sequence[ScoreCurve]) -> tuple[str, ...]:
    """Count the cells that chose the weights of this point; no column where none chooses."""
    return (str(curve.chosen.count(share)),) if any(one.chosen for one in curves) else ()


def _scored_apart(curves: Sequence[ScoreCurve]) -> bool:
    """Whether points were not all scored by the same rules and metrics."""
    return len({one.scored for curve in curves for _, points in curve.by_share for one in points}) > 1


def _means(points: Sequence[Point], measures: Sequence[str]) -> list[str]:
    columns = [_values(points, name) for name in measures]
    return [f"{sum(values) / len(values):.2f}" if values else "-" for values in columns]


def over_training(axes: Any, study: Study, measure: Measure, styles: Styles) -> bool:
    """Draw a measure over the share of training, a line a setting under its first test; rings are chosen weights."""
    tests = {cell.setting: cell.setting.tests[0] for cell in study.cells if cell.setting.tests}
    every = [
        one
        for one in score_curves(study)
        if one.tested in (HELD_OUT, tests.get(one.setting)) and one.means(measure.name)
    ]
    shown = every[:MOST]
    for curve, look in zip(shown, styles.styles([one.setting for one in shown]), strict=True):
        shares, values = zip(*curve.means(measure.name), strict=True)
        axes.plot(
            [100 * share for share in shares],
            values,
            label=curve.name + (", held-out tasks" if curve.tested == HELD_OUT else ""),
            color=look.colour,
            marker=look.marker,
            linestyle=look.dash,
        )
        _ring(axes, curve, measure, look.colour)
    axes.set(xlabel="share of training, %", ylabel=measure.label)
    said = []
    if len(shown) < len(every):
        said.append(f"{len(shown)} of {len(every)} settings; the others are in score_curves.csv")
    if _scored_apart(shown):
        said.append("not all points scored by the same rules (score_curves.csv says which)")
    axes.set_title("\n".join(said), fontsize=7)
    if shown:
        put_legend(axes)
    return bool(shown)


def _ring(axes: Any, curve: ScoreCurve, measure: Measure, colour: str) -> None:
    """Mark the points whose weights were chosen."""
    points = [(share, mean) for share, mean in curve.means(measure.name) if share in curve.chosen]
    if points:
        places = [100 * share for share, _ in points]
        axes.scatter(places, [mean for _, mean in points], s=90, facecolors="none", edgecolors=colour)
