"""`instruct-ablate compare A B`: what the same settings scored in two studies."""

from __future__ import annotations

from pathlib import Path

import click

from instruct_ablate.terminal import echo


@click.command(name="compare")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
def command(first: Path, second: Path) -> None:
    """Compare study SECOND with study FIRST, setting by setting, paired by seed and task."""
    from instruct_ablate.report.compare import compare_studies
    from instruct_ablate.report.tables import markdown

    table, told = compare_studies(first, second)
    echo(markdown(table) if table.lines else "The studies have no setting in common.")
    for line in told:
        echo(line)
