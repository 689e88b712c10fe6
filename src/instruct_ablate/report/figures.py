"""Figures: score over budget, format correctness, train x test, categories, tasks, learning curves.

Colours are Okabe & Ito's (2008), which colour-blind readers can tell apart; markers and dashes differ too, so that a
figure also reads in black and white.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from instruct_ablate.baselines import is_baseline_name
from instruct_ablate.cell.state.record import CellRecord
from instruct_ablate.report.differences import Difference
from instruct_ablate.report.learning import learning_curves
from instruct_ablate.report.rows import Mean, Row, trained_on

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
        ("rougeL", lambda ax: over_budget(ax, rows, "overall_rougeL", "ROUGE-L (all tasks), %")),
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
    trained = [row for row in rows if not row.setting.axes.untuned and _value(row, measure) is not None]
    names = dict.fromkeys(_line_name(row, trained) for row in trained)
    for index, name in enumerate(names):
        own = sorted(
            (row for row in trained if _line_name(row, trained) == name),
            key=lambda row: row.setting.axes.data_budget,
        )
        means = [mean for row in own if (mean := _value(row, measure))]
        axes.errorbar(
            [row.setting.axes.data_budget for row in own],
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
    budgets = sorted({row.setting.axes.data_budget for row in trained})
    axes.set_xscale("log")
    axes.set_xticks(budgets, [str(budget) for budget in budgets])
    axes.minorticks_off()
    axes.set_xlim(budgets[0] / 1.2, budgets[-1] * 1.2)
    _legend(axes)
    return True


def _legend(axes: Any) -> None:
    """Put the legend below the axes: above the lines it would hide some."""
    axes.figure.legend(loc="outside lower center", ncols=3, fontsize=7)


def _value(row: Row, measure: str) -> Mean | None:
    value: Mean | None = getattr(row, measure)
    return value


def _line_name(row: Row, rows: Sequence[Row]) -> str:
    axes = row.setting.axes
    parts = [axes.instruction]
    if len({other.setting.axes.model for other in rows}) > 1:
        parts.append(axes.model)
    if len({other.setting.axes.method for other in rows}) > 1:
        parts.append(axes.method)
    if row.setting.test_instruction != axes.instruction:
        parts.append(f"tested on {row.setting.test_instruction}")
    return ", ".join(parts)


def _levels(axes: Any, rows: Sequence[Row], measure: str) -> None:
    """Draw the untuned model's level and, for exact match, the uniform guess."""
    for index, (name, value) in enumerate(levels(rows, measure)):
        axes.axhline(value, color="grey", linestyle=LEVEL_DASHES[index % 4], linewidth=1.2, label=name)


def levels(rows: Sequence[Row], measure: str) -> Iterator[tuple[str, float]]:
    """Yield name and value of what is drawn as a level: models before training, baselines, the uniform guess."""
    untuned = [row for row in rows if row.setting.axes.untuned and _value(row, measure) is not None]
    models = {row.setting.axes.model for row in untuned if not is_baseline_name(row.setting.axes.model)}
    for row in untuned:
        axes, mean = row.setting.axes, _value(row, measure)
        assert mean is not None
        if axes.model in models:
            yield "untuned" if len(models) == 1 else f"{axes.model}, untuned", mean.value
        elif axes.model != "uniform_guess" or measure != "exact_match":
            yield axes.model.replace("_", " "), mean.value
    guess = next((row.uniform_guess for row in rows if row.uniform_guess), None)
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
    scored = [row for row in rows if row.exact_match and not row.setting.axes.untuned]
    trained = list(dict.fromkeys(row.setting.axes.instruction for row in scored))
    tested = list(dict.fromkeys(row.setting.test_instruction for row in scored))
    if len({(row.setting.axes.instruction, row.setting.test_instruction) for row in scored}) <= len(trained):
        return False  # every model was tested in one way only
    values = np.full((len(trained), len(tested)), np.nan)
    for line, one in enumerate(trained):
        for column, other in enumerate(tested):
            both = [
                row.exact_match.value
                for row in scored
                if row.exact_match
                and (row.setting.axes.instruction, row.setting.test_instruction) == (one, other)
            ]
            values[line, column] = np.mean(both) if both else np.nan
    _heat(axes, values, (trained, tested))
    axes.set(xlabel="tested on", ylabel="trained on", title="exact match, %")
    return True


def by_category(axes: Any, cells: Sequence[CellRecord]) -> bool:
    """Draw ROUGE-L by category and variant, averaged over seeds and budgets."""
    sums: dict[tuple[str, str], list[float]] = {}
    for cell in cells:
        name = trained_on(cell.axes)
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
    for index, item in enumerate(shown):
        means = np.sort(item.pairing.differences.mean(axis=0))
        label = f"{item.trial.axes.instruction}, budget {item.trial.axes.data_budget}"
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
