"""Figures: score over budget, format correctness, train x test, categories, tasks, learning curves.

Colours are Okabe & Ito's (2008), which colour-blind readers can tell apart; markers and dashes differ too, so that a
figure also reads in black and white.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from instruct_ablate.cell.state.legend import Legend, trained_on
from instruct_ablate.cell.state.record import CellRecord
from instruct_ablate.report.differences import Difference
from instruct_ablate.report.learning import learning_curves
from instruct_ablate.report.rows import Row

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = "osD^vPX*"
DASHES = ("-", "--", "-.", ":")
LEVEL_DASHES = ((0, (1, 1)), (0, (1, 4)), (0, (5, 5)), (0, (6, 3, 1, 3)))
_STYLE: Any = {
    "svg.hashsalt": "instruct-ablate",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def draw_figures(
    folder: Path, rows: Sequence[Row], found: Sequence[Difference], cells: Sequence[CellRecord], study: Path
) -> tuple[Path, ...]:
    """Draw every figure that the study has numbers for, as SVG and PDF; return the SVG files."""
    import matplotlib as mpl

    drawn: list[tuple[str, Callable[[Any], bool]]] = [
        ("exact_match", lambda ax: over_budget(ax, rows, "exact_match", "exact match (classification), %")),
        ("rougeL", lambda ax: over_budget(ax, rows, "rougeL", "ROUGE-L (all tasks), %")),
        ("format", lambda ax: over_budget(ax, rows, "format_correctness", "format correctness, %")),
        ("train_test", lambda ax: train_by_test(ax, rows)),
        ("categories", lambda ax: by_category(ax, cells)),
        ("tasks", lambda ax: by_task(ax, found)),
        ("learning", lambda ax: learning(ax, study, cells)),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        return tuple(path for name, draw in drawn if (path := _save(folder / name, draw)) is not None)


def _save(stem: Path, draw: Callable[[Any], bool]) -> Path | None:
    from matplotlib.figure import Figure  # without pyplot, which keeps figures and needs a display's backend

    figure = Figure(figsize=(5.2, 3.6))
    if not draw(figure.subplots()):
        return None
    figure.savefig(stem.with_suffix(".svg"), metadata={"Date": None})
    figure.set_layout_engine("none")  # what was laid out once stays
    figure.savefig(stem.with_suffix(".pdf"), metadata={"CreationDate": None})
    return stem.with_suffix(".svg")


def over_budget(axes: Any, rows: Sequence[Row], measure: str, label: str) -> bool:
    """Draw a measure over instances per task, a line a variant, with the untuned model and the uniform guess."""
    trained = [row for row in rows if not row.setting.untuned and row.mean(measure) is not None]
    lines = by_line(trained)
    for index, (name, own) in enumerate(lines.items()):
        means = [mean for row in own if (mean := row.mean(measure))]
        axes.errorbar(
            [row.setting.budget for row in own],
            [mean.value for mean in means],
            yerr=[mean.deviation or 0.0 for mean in means],
            label=name,
            capsize=3,
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            linestyle=DASHES[index % len(DASHES)],
        )
    _levels(axes, rows, measure)
    axes.set(xlabel="training instances per task", ylabel=label)
    if not trained:
        return False
    budgets = sorted({row.setting.budget for row in trained})
    axes.set_xscale("log")
    axes.set_xticks(budgets, [str(budget) for budget in budgets])
    axes.minorticks_off()
    axes.set_xlim(budgets[0] / 1.2, budgets[-1] * 1.2)
    _legend(axes)
    return True


def _legend(axes: Any) -> None:
    """Put the legend below the axes: above the lines it would hide some."""
    axes.figure.legend(loc="outside lower center", ncols=3, fontsize=7)


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


def _levels(axes: Any, rows: Sequence[Row], measure: str) -> None:
    """Draw the untuned model's level and, for exact match, the uniform guess."""
    for index, (name, value) in enumerate(levels(rows, measure)):
        axes.axhline(value, color="grey", linestyle=LEVEL_DASHES[index % 4], linewidth=1.2, label=name)


def levels(rows: Sequence[Row], measure: str) -> Iterator[tuple[str, float]]:
    """Yield name and value of what is drawn as a level: models before training, baselines, the uniform guess."""
    untuned = [row for row in rows if row.setting.untuned and row.mean(measure) is not None]
    legend = Legend(row.setting for row in untuned)
    models = {row.setting.model for row in untuned if not row.setting.baseline}
    for row in untuned:
        setting, mean = row.setting, row.mean(measure)
        assert mean is not None
        if not setting.baseline:
            name = trained_on(setting).strip("()")
            first = (setting.model, name) if len(models) > 1 and name != setting.model else (name,)
        elif setting.model != "uniform_guess" or measure != "exact_match":
            first = (setting.model.replace("_", " "),)
        else:
            continue
        place = legend.place(setting, "model", "instruction")
        yield ", ".join((*first, *([place] if place else []))), mean.value
    guess = next((mean for row in rows if (mean := row.mean("uniform_guess"))), None)
    if measure == "exact_match" and guess is not None:
        yield "uniform guess", guess.value


def _heat(
    axes: Any, values: np.ndarray, names: tuple[Sequence[str], Sequence[str]], digits: str = "{:.1f}"
) -> None:
    """Draw a labelled matrix; its numbers stand in its fields."""
    shown = np.ma.masked_invalid(values)
    image = axes.imshow(shown, cmap="cividis", aspect="auto")
    axes.grid(visible=False)
    axes.set_xticks(range(len(names[1])), names[1], rotation=30, ha="right", fontsize=7)
    axes.set_yticks(range(len(names[0])), names[0], fontsize=7)
    middle = float(np.nanmean(values))
    for (line, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if value < middle else "black"
            axes.text(column, line, digits.format(value), ha="center", va="center", fontsize=7, color=colour)
    axes.figure.colorbar(image, ax=axes, shrink=0.8)


def train_by_test(axes: Any, rows: Sequence[Row]) -> bool:
    """Draw exact match by training and test variant, averaged over the other settings."""
    scored = [row for row in rows if row.mean("exact_match") and not row.setting.untuned]
    trained = list(dict.fromkeys(row.setting.instruction for row in scored))
    tested = list(dict.fromkeys(row.tested for row in scored))
    if len({(row.setting.instruction, row.tested) for row in scored}) <= len(trained):
        return False  # every model was tested in one way only
    values = np.full((len(trained), len(tested)), np.nan)
    for line, one in enumerate(trained):
        for column, other in enumerate(tested):
            both = [
                mean.value
                for row in scored
                if (mean := row.mean("exact_match")) and (row.setting.instruction, row.tested) == (one, other)
            ]
            values[line, column] = np.mean(both) if both else np.nan
    _heat(axes, values, (trained, tested))
    axes.set(xlabel="tested on", ylabel="trained on", title="exact match, %")
    return True


def by_category(axes: Any, cells: Sequence[CellRecord]) -> bool:
    """Draw ROUGE-L by category and variant, averaged over seeds and budgets."""
    sums: dict[tuple[str, str], list[float]] = {}
    for cell in cells:
        name = trained_on(cell.setting)
        for block in cell.blocks if cell.state == "done" else ():
            for score in block.scores.categories:
                if (value := score.get("rougeL")) is not None:
                    sums.setdefault((score.name, name), []).append(value)
    if not sums:
        return False
    categories = sorted({category for category, _ in sums})
    variants = list(dict.fromkeys(variant for _, variant in sums))
    values = np.array([[np.mean(sums.get((c, v), [np.nan])) for v in variants] for c in categories])
    _heat(axes, values, (categories, variants))
    axes.set(title="ROUGE-L, %")
    return True


def by_task(axes: Any, found: Sequence[Difference]) -> bool:
    """Draw the per-task differences of each comparison, sorted: how many tasks gain, how many lose."""
    shown = [item for item in found if item.metric == "rougeL"][:6]
    legend = Legend(item.trial.setting for item in found)
    for index, item in enumerate(shown):
        means = np.sort(item.pairing.differences.mean(axis=0))
        label = legend.place(item.trial.setting, always=("instruction", "data_budget"))
        place = np.linspace(0, 100, len(means))
        style = {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}
        axes.plot(place, means, label=label, marker=MARKERS[index], markersize=3, **style)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(xlabel="tasks, sorted, %", ylabel="ROUGE-L less the reference, points")
    if shown:
        _legend(axes)
    return bool(shown)


def learning(axes: Any, study: Path, cells: Sequence[CellRecord]) -> bool:
    """Draw the training loss over steps, one line a variant (its first cell with a curve)."""
    drawn = 0
    for name, steps, losses in learning_curves(study, cells):
        style = {"color": COLOURS[drawn % len(COLOURS)], "linestyle": DASHES[drawn % len(DASHES)]}
        axes.plot(steps, losses, label=name, **style)
        drawn += 1
    axes.set(xlabel="optimiser step", ylabel="loss per target token")
    if drawn:
        _legend(axes)
    return drawn > 0
