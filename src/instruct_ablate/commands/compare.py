"""`instruct-ablate compare A B`: what the same settings scored in two studies."""

from __future__ import annotations

from pathlib import Path

import click

from instruct_ablate.terminal import echo, json_option, print_json


@click.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@json_option
def command(first: Path, second: Path, as_json: bool) -> None:
    """Compare study SECOND with study FIRST, setting by setting, paired by seed and task."""
    from instruct_ablate.report.compare import compare_studies
    from instruct_ablate.report.tables import markdown

    table, told = compare_studies(first, second)
    if as_json:
        from instruct_ablate.report.as_json import comparison_fields

        print_json(comparison_fields(table, told))
        return
    echo(markdown(table) if table.lines else "The studies have no setting in common.")
    for line in told:
        echo(line)
