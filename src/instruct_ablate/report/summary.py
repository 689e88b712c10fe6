"""The summary: a study's main table on the terminal, at the end of a sweep and at any time before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.baselines import is_baseline_name
from instruct_ablate.cell.state.record import IMPORTED, Axes
from instruct_ablate.grid.study import Study, read_study
from instruct_ablate.report.rows import Mean, Row, Setting, build_rows, trained_on

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Form:
    """How numbers are written."""

    digits: int = 2
    spread: bool = True  # with the deviation over seeds


FORMS = (Form(), Form(digits=1), Form(digits=1, spread=False))
COLUMNS = {
    "exact_match": "exact\nmatch",
    "rougeL": "ROUGE-L\n(gen.)",
    "overall_rougeL": "ROUGE-L\n(all)",
    "format_correctness": "format\ncorrect",
    "to_reference": "to\n{reference}",
    "to_untuned": "to\nuntuned",
    "uniform_guess": "uniform\nguess",
}
_NAMES = {
    "data_budget": "budget",
    "budget_tasks": "tasks trained on",
    "num_positive": "examples",
    "instruction": "trained on",
}


def print_summary(folder: Path, console: Console | None = None) -> None:
    """Print a study's main table as it stands on disk: one row a setting, mean ± deviation over seeds."""
    study = read_study(folder)
    print_rows(study, build_rows(study.cells, study.reference), console)


def print_rows(study: Study, rows: Sequence[Row], console: Console | None = None) -> None:
    """Print rows as wide as the terminal allows: with deviations, shorter, or the means alone."""
    from rich.console import Console

    console = console or Console()
    if not rows:
        console.print(f"{study.folder}: no cells yet.", highlight=False, markup=False)
        return
    tables = [summary_table(study.name, rows, study.reference, form) for form in FORMS]
    widths = [
        console.measure(table, options=console.options.update(max_width=1000)).maximum for table in tables
    ]
    # A log or a pipe has no width of its own; a table must not lose its columns there.
    room = console.width if console.is_terminal else widths[0]
    place = next((i for i, width in enumerate(widths) if width <= room), len(FORMS) - 1)
    console.width = max(console.width, widths[place])
    console.print(tables[place])
    more = " A wider terminal shows the deviations." if place == len(FORMS) - 1 else ""
    console.print(f"[dim]{caption(rows)}{more}[/dim]", highlight=False)


def summary_table(title: str, rows: Sequence[Row], reference: str, form: Form = FORMS[0]) -> Table:
    """Build the table; axes on which all rows agree are left to the caption."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold", pad_edge=False, box=box.SIMPLE_HEAD)
    axes = varying_axes(rows)
    for name in axes:
        table.add_column(axis_name(name).replace(" ", "\n", 1), justify="left", no_wrap=True)
    for heading in COLUMNS.values():
        table.add_column(heading.format(reference=reference), justify="right", no_wrap=True)
    if any(row.unfinished for row in rows):
        table.add_column("not\nfinished", justify="left", no_wrap=True)
    for row in rows:
        table.add_row(*(axis_text(row.setting, name) for name in axes), *_values(row, form))
    return table


def varying_axes(rows: Sequence[Row]) -> tuple[str, ...]:
    """Name the axes on which rows differ; the training instruction is always shown."""
    names = [field.name for field in fields(Axes) if field.name != "seed"]
    varying = [name for name in names if len({axis_text(row.setting, name) for row in rows} - {"-"}) > 1]
    if "instruction" not in varying:
        varying.append("instruction")
    tested = any(
        row.setting.test_instruction != row.setting.axes.instruction for row in rows if _trained(row)
    )
    return (*varying, "tested on") if tested else tuple(varying)


def axis_name(name: str) -> str:
    """Return an axis' heading."""
    return _NAMES.get(name, name.replace("_", " "))


def axis_text(setting: Setting, name: str) -> str:
    """Return what a row shows for an axis; the untuned model has no training variant, method or budget."""
    if name == "tested on":
        return setting.test_instruction
    value: Any = getattr(setting.axes, name)
    if name == "instruction":
        return trained_on(setting.axes)
    if is_baseline_name(setting.axes.model) and name in ("model", "prompt", "decoding"):
        return "-"
    if value == IMPORTED:
        return "-"
    if setting.axes.untuned and name in ("method", "num_positive", "data_budget", "budget_tasks"):
        return "-"
    return "all" if value is None else str(value)


def caption(rows: Sequence[Row]) -> str:
    """Say what all rows have in common and what the numbers are."""
    axes = [field.name for field in fields(Axes) if field.name not in ("seed", *varying_axes(rows))]
    texts = {_NAMES.get(name, name): _shared_text(rows, name) for name in axes}
    shared = ", ".join(f"{name}={text}" for name, text in texts.items() if text != "-")
    seeds = max((row.exact_match or row.rougeL or Mean(0, None, 0)).seeds for row in rows)
    over = f"Mean ± standard deviation over up to {seeds} seeds" if seeds > 1 else "One seed"
    return (
        f"{shared}. {over}; percentages averaged per task; "
        "exact match, format and guess over classification tasks, ROUGE-L (gen.) over generation tasks; "
        "the differences to other rows are of exact match (ROUGE-L where there is no classification)."
    )


def _shared_text(rows: Sequence[Row], name: str) -> str:
    trained = [row for row in rows if _trained(row)] or list(rows)
    return axis_text(trained[0].setting, name)


def _trained(row: Row) -> bool:
    return not row.setting.axes.untuned


def _values(row: Row, form: Form) -> list[str]:
    return [*(measured(row, name, form) for name in COLUMNS), unfinished(row)]


def unfinished(row: Row) -> str:
    """Count a row's cells that are not done, by state: "1 failed, 2 missing"."""
    return ", ".join(f"{count} {state}" for state, count in row.unfinished)


def measured(row: Row, name: str, form: Form = FORMS[0]) -> str:
    """Return what a row shows in a column; the uniform guess is the data's, so it does not deviate."""
    mean: Mean | None = getattr(row, name)
    if mean is not None and name == "uniform_guess":
        mean = replace(mean, deviation=None)
    return number(mean, signed=name.startswith("to_"), form=form)


def number(mean: Mean | None, *, signed: bool = False, form: Form = FORMS[0]) -> str:
    """Write a mean with its deviation: "48.55 ± 0.31", "+2.10"; "-" where there is none."""
    if mean is None:
        return "-"
    value = f"{mean.value:{'+' if signed else ''}.{form.digits}f}"
    spread = form.spread and mean.deviation is not None
    return f"{value} ± {mean.deviation:.{form.digits}f}" if spread else value
