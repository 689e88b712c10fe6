"""`instruct-ablate compare A B`: what the same settings scored in two studies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from instruct_ablate.terminal import echo, json_option, narrow_console, print_json

if TYPE_CHECKING:
    from instruct_ablate.long_table import LongTable
    from instruct_ablate.report.tables.tables import Table


@click.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@json_option
def command(first: Path, second: Path, as_json: bool) -> None:
    """Compare study SECOND with study FIRST, setting by setting. They are paired by seed and task.

    instruct-ablate compare multirun/first multirun/second
    """
    from instruct_ablate.report.compare import compare_studies
    from instruct_ablate.report.tables.tables import markdown

    table, told = compare_studies(first, second)
    if as_json:
        from instruct_ablate.report.as_json import comparison_fields

        print_json(comparison_fields(table, told))
        return
    text = markdown(table)
    if not table.lines:
        echo("The studies have no setting in common.")
    elif (console := narrow_console(text)) is not None:
        console.print(_folded(table))
    else:
        echo(text)
    for line in told:
        echo(line)


def _folded(table: Table) -> LongTable:
    """Draw a table for a narrow terminal: cells take as many lines as they need."""
    from rich import box
    from rich.text import Text

    from instruct_ablate.long_table import LongTable

    made = LongTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(table.headings):
        number = place >= table.labels  # which is read whole or not at all
        made.add_column(Text(name), justify="right" if number else "left", no_wrap=number, overflow="fold")
    for line in table.lines:
        made.add_row(*map(Text, line))
    return made
