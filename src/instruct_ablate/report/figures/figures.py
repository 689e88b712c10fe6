"""Figures: every measure over budget, train x test, categories, tasks, learning curves."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.cell.state.setting.trained_on import budget_on_axis, sorted_budgets
from instruct_ablate.disk.whole_files import write_whole
from instruct_ablate.grid.study import Study
from instruct_ablate.metrics import Measure, find_measure, find_metric
from instruct_ablate.report.figures.heat_maps import by_category, train_by_test
from instruct_ablate.report.figures.learning import count_curves, learning_curves
from instruct_ablate.report.figures.legend import grow_for, names_at_side, put_legend
from instruct_ablate.report.figures.levels import levels
from instruct_ablate.report.figures.paper import SCREEN, Paper
from instruct_ablate.report.figures.score_curves import over_training
from instruct_ablate.report.figures.styles import Style, Styles
from instruct_ablate.report.rows.budgets import span
from instruct_ablate.report.rows.columns import compared, own_metrics
from instruct_ablate.report.rows.seed_means import Row
from instruct_ablate.report.rows.trials import trial_name
from instruct_ablate.report.tables.differences import Difference
from instruct_ablate.terminal import shown

log = logging.getLogger(__name__)
MAIN = "rougeL"
# matplotlib's words, a warning for each letter drawn.
_NO_GLYPH = re.compile(r"Glyph (\d+) .*missing from font")
NAMES = {"format_correctness": "format"}  # figures whose files have another name than their measure
MOST_LINES = 6
MATRICES = ("train_test", "categories")
LEAST_HIGH = 4.2  # a narrow figure is as high as one of this width: its legend needs the room
LEVEL_DASHES = ((0, (1, 1)), (0, (1, 4)), (0, (5, 5)), (0, (6, 3, 1, 3)))
_STYLE: Any = {
    "svg.hashsalt": "instruct-ablate",
    "pdf.fonttype": 42,  # TrueType: many publishers refuse Type 3 fonts
    "text.parse_math": False,  # a name with two dollar signs is no formula
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def draw_figures(
    folder: Path, rows: Sequence[Row], found: Sequence[Difference], study: Study, paper: Paper = SCREEN
) -> tuple[Path, ...]:
    """Draw every figure that the study has numbers for, as SVG and PDF; return the SVG files.

    They are as wide as a column of the paper; matrices as its text.
    """
    import matplotlib as mpl

    cells, styles = study.cells, Styles(row.setting for row in rows)
    measures = [find_measure(name) for name in compared(cells, study.columns)]
    exact, own = find_measure("exact_match"), own_metrics(cells)
    drawn: list[tuple[str, Callable[[Any], bool]]] = [
        *(
            (NAMES.get(one.name, one.name), partial(over_budget, rows=rows, measure=one, styles=styles))
            for one in measures
        ),
        ("train_test", partial(train_by_test, rows=rows, measure=exact)),
        *((_for("categories", name), partial(by_category, cells=cells, name=name)) for name in (MAIN, *own)),
        *(
            (_for("tasks", name), partial(by_task, found=found, name=name, styles=styles))
            for name in (MAIN, *own)
        ),
        ("learning", partial(learning, study=study, styles=styles)),
        (
            f"{MAIN}_while_training",
            partial(over_training, study=study, measure=find_measure(MAIN), styles=styles),
        ),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    # It tells of every font that a PDF takes a part of.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    with mpl.rc_context({**_STYLE, "font.size": paper.font}), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        saved = [
            _save(folder / name, draw, paper.text if name.startswith(MATRICES) else paper.column)
            for name, draw in drawn
        ]
    _tell(told)
    return tuple(path for path in saved if path is not None)


def _tell(told: Sequence[warnings.WarningMessage]) -> None:
    """Say once which characters the figures' font lacks, of any other warning what it says."""
    lacking = dict[str, None]()
    for one in told:
        if found := _NO_GLYPH.match(str(one.message)):
            lacking.setdefault(chr(int(found[1])))
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if lacking:
        log.warning(
            "figures show boxes for characters that their font lacks: %s; tables and the page have them",
            "".join([*lacking][:20]),
        )


def _for(figure: str, name: str) -> str:
    return figure if name == MAIN else f"{figure}_{name}"


def _save(stem: Path, draw: Callable[[Any], bool], width: float) -> Path | None:
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure  # without pyplot, which keeps figures and needs a display's backend

    figure = Figure(figsize=(width, min(max(width, LEAST_HIGH), 5.2) * 3.6 / 5.2))
    if not draw(figure.subplots()):
        return None
    figure.savefig(svg := io.StringIO(), format="svg", metadata={"Date": None})
    # Names stand in it as comments, and a control character is no XML.
    write_whole(stem.with_suffix(".svg"), shown(svg.getvalue()))
    figure.set_layout_engine("none")  # what was laid out once stays
    canvas: Any = FigureCanvasPdf(figure)  # which `savefig` would draw on twice, to lay it out
    canvas.print_pdf(stem.with_suffix(".pdf"), metadata={"CreationDate": None})
    return stem.with_suffix(".svg")


def over_budget(axes: Any, rows: Sequence[Row], measure: Measure, styles: Styles) -> bool:
    """Draw a measure over instances per task, a line a variant, with the untuned model and the uniform guess.

    With one budget there is no line to draw: dots stand one below the other.
    """
    trained = [row for row in rows if not row.setting.untuned and row.mean(measure.name)]
    if not trained:
        return False
    lines = by_line(trained)
    looks = styles.styles([own[0].setting for own in lines.values()])
    budgets = sorted({row.setting.budget for row in trained})
    draw, level = (_dots, axes.axvline) if len(budgets) == 1 else (_lines, axes.axhline)
    key = draw(axes, list(zip(lines.items(), looks, strict=True)), measure)
    for index, (name, value) in enumerate(levels(rows, measure.name)):
        level(value, color="grey", linestyle=LEVEL_DASHES[index % 4], linewidth=1.2, label=name)
    put_legend(axes, key)
    return True


Looks = list[tuple[tuple[str, list[Row]], Style]]


def _lines(axes: Any, lines: Looks, measure: Measure) -> list[str]:
    """Draw a line each over the budget; it is named in the legend, which needs no key."""
    places = _places(sorted_budgets(row.setting for (_, own), _ in lines for row in own))
    for (name, own), look in lines:
        means = [mean for row in own if (mean := row.mean(measure.name))]
        axes.errorbar(
            [places[budget_on_axis(row.setting)] for row in own],
            [mean.value for mean in means],
            yerr=[mean.deviation or 0.0 for mean in means],
            label=name,
            capsize=3,
            color=look.colour,
            marker=look.marker,
            linestyle=look.dash,
        )
    sizes: dict[int | str | None, list[float | None]] = {}
    for (_, own), _ in lines:
        for row in own:
            sizes.setdefault(budget_on_axis(row.setting), []).append(row.unmet)
    ticks = list(places.values())
    axes.set(xlabel="training instances per task", ylabel=measure.label)
    axes.set_xscale("log")
    axes.set_xticks(ticks, [_tick(budget, sizes[budget]) for budget in places])
    axes.minorticks_off()
    axes.set_xlim(ticks[0] / 1.2, ticks[-1] * 1.2)
    return []


def _tick(budget: int | str | None, sizes: Sequence[float | None]) -> str:
    """Name a budget at the axis; below it what it came to in each row, where tasks have fewer instances."""
    if not isinstance(budget, int):
        return budget or "in all"
    came_to = [budget if size is None else size for size in sizes]
    return str(budget) if set(sizes) == {None} else f"{budget}\n({span(came_to)})"


def _places(budgets: Sequence[int | str | None]) -> dict[int | str | None, int]:
    """Return where budgets stand at the axis: what is no number a step each behind the largest one."""
    places: dict[int | str | None, int] = {}
    for one in budgets:
        places[one] = one if isinstance(one, int) else 2 * max(places.values(), default=1)
    return places


def _dots(axes: Any, lines: Looks, measure: Measure) -> list[str]:
    """Draw a dot a line with its deviation over seeds; return the key of names that are too long to stand beside."""
    for place, ((_, own), look) in enumerate(lines):
        mean = own[0].mean(measure.name)
        assert mean is not None
        spread = mean.deviation or 0.0
        style = {"color": look.colour, "marker": look.marker, "linestyle": "none"}
        axes.errorbar([mean.value], [place], xerr=[spread], capsize=3, **style)
    names, key = names_at_side(axes, [name for (name, _), _ in lines])
    axes.set_yticks(range(len(lines)), names)
    grow_for(axes, len(lines))
    axes.set_ylim(len(lines) - 0.5, -0.5)
    # Long names leave the axes few inches: it begins below the names, and is whole.
    axes.set_xlabel(measure.label, loc="right")
    return key


def by_line(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Group trained rows into lines over the budget, named by all else that differs; smallest budgets first."""
    legend = Legend(row.setting for row in rows)
    lines: dict[str, list[Row]] = {}
    for row in rows:
        lines.setdefault(_line_name(row, legend), []).append(row)
    return {name: sorted(own, key=lambda row: row.setting.budget) for name, own in lines.items()}


def _line_name(row: Row, legend: Legend) -> str:
    place = legend.place(row.setting, "data_budget", "instruction")
    tested = f"tested on {row.tested}" if row.tested != row.setting.instruction else ""
    return ", ".join(filter(None, (row.setting.instruction, place, tested)))


def by_task(axes: Any, found: Sequence[Difference], name: str, styles: Styles) -> bool:
    """Draw the per-task differences of each comparison, sorted: how many tasks gain, how many lose."""
    every = [item for item in found if item.metric == name]
    shown = every[:MOST_LINES]
    looks = styles.styles([item.trial.setting for item in shown])
    legend = Legend(item.trial.setting for item in found)
    for item, look in zip(shown, looks, strict=True):
        means = np.sort(item.pairing.differences.mean(axis=0))
        label = trial_name(item.trial, legend, "data_budget")  # one setting may be tested in several ways
        place = np.linspace(0, 100, len(means))
        style = {"color": look.colour, "linestyle": look.dash, "marker": look.marker}
        axes.plot(place, means, label=label, markersize=3, **style)
    axes.axhline(0, color="black", linewidth=0.8)
    metric = find_metric(name)
    unit = "points" if metric.unit == "%" else metric.unit
    heading = metric.heading.replace("\n", " ")
    axes.set(xlabel="tasks, sorted, %", ylabel=f"{heading} less the reference, {unit}")
    _left_out(axes, len(shown), len(every), "comparisons; the others are in the table of differences")
    if shown:
        put_legend(axes)
    return bool(shown)


def _left_out(axes: Any, shown: int, every: int, what: str) -> None:
    """Say in a figure how much of what there is it shows, where that is not all."""
    if shown < every:
        axes.set_title(f"{shown} of {every} {what}", fontsize=7, wrap=True)


def learning(axes: Any, study: Study, styles: Styles) -> bool:
    """Draw the training loss over steps, one line a setting (its first cell with a curve)."""
    curves = list(learning_curves(study.folder, study.cells))
    looks = styles.styles([curve.setting for curve in curves])
    for curve, look in zip(curves, looks, strict=True):
        point = (
            {"marker": look.marker, "markersize": 4} if len(curve.steps) == 1 else {}
        )  # no line through it
        axes.plot(
            curve.steps, curve.losses, label=curve.name, color=look.colour, linestyle=look.dash, **point
        )
    axes.set(xlabel="optimiser step", ylabel="loss per target token")
    _left_out(
        axes,
        len(curves),
        count_curves(study.folder, study.cells),
        "settings; the others' curves lie beside their records",
    )
    if curves:
        put_legend(axes)
    return bool(curves)
