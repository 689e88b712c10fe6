"""The summary: a study's main table on the terminal, at the end of a sweep and at any time before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.cell.record import Axes
from instruct_ablate.grid.study import read_study
from instruct_ablate.report.rows import Mean, Row, Setting, build_rows

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

MINIMUM_WIDTH = 110
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
    from rich.console import Console

    console = console or Console()
    # A log or a pipe has no width of its own; a table must not lose its columns there.
    console.width = max(console.width, MINIMUM_WIDTH)
    study = read_study(folder)
    rows = build_rows(study.cells, study.reference)
    if not rows:
        console.print(f"{study.folder}: no cells yet.")
        return
    console.print(summary_table(study.name, rows, study.reference))
    console.print(f"[dim]{caption(rows)}[/dim]", highlight=False)


def summary_table(title: str, rows: Sequence[Row], reference: str) -> Table:
    """Build the table; axes on which all rows agree are left to the caption."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold", pad_edge=False)
    axes = varying_axes(rows)
    for name in axes:
        table.add_column(axis_name(name), justify="left", no_wrap=True)
    for heading in COLUMNS.values():
        table.add_column(heading.format(reference=reference), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(axis_text(row.setting, name) for name in axes), *_values(row))
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
    if setting.axes.untuned and name == "instruction":
        return "(untuned)"
    if setting.axes.untuned and name in ("method", "num_positive", "data_budget", "budget_tasks"):
        return "-"
    return "all" if value is None else str(value)


def caption(rows: Sequence[Row]) -> str:
    """Say what all rows have in common and what the numbers are."""
    axes = [field.name for field in fields(Axes) if field.name not in ("seed", *varying_axes(rows))]
    shared = ", ".join(f"{_NAMES.get(name, name)}={_shared_text(rows, name)}" for name in axes)
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


def _values(row: Row) -> list[str]:
    if row.exact_match is None and row.rougeL is None:
        states = ", ".join(f"{count} {state}" for state, count in row.unfinished)
        return [states, *["-"] * (len(COLUMNS) - 1)]
    values = [number(getattr(row, name), signed=name.startswith("to_")) for name in COLUMNS]
    if row.unfinished:
        values[0] += " *" + ", ".join(f"{count} {state}" for state, count in row.unfinished)
    return values


def number(mean: Mean | None, *, signed: bool = False) -> str:
    """Write a mean with its deviation: "48.55 ± 0.31", "+2.10"; "-" where there is none."""
    if mean is None:
        return "-"
    value = f"{mean.value:+.2f}" if signed else f"{mean.value:.2f}"
    return value if mean.deviation is None else f"{value} ± {mean.deviation:.2f}"
