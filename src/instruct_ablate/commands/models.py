"""`instruct-ablate models`: the models named by hub id."""

from __future__ import annotations

import click

from instruct_ablate.terminal import echo, make_console


@click.command()
@click.option("--markdown", is_flag=True, help="The page docs/models.md instead.")
@click.option("--counts", is_flag=True, hidden=True, help="What the package ships of their weights' numbers.")
def command(markdown: bool, counts: bool) -> None:
    """List the models named by hub id. It tells size, terms, GB while training, and which instructions they have seen.

    instruct-ablate models
    """
    from rich.table import Table

    from instruct_ablate.pages.models_page import COLUMNS, models_page, rows

    if counts:
        echo(_counts())
        return
    if markdown:
        echo(models_page().removesuffix("\n"))
        return
    table = Table()
    for heading in COLUMNS:
        table.add_column(heading, overflow="fold")
    for row in rows():
        table.add_row(*row)
    make_console().print(table)


def _counts() -> str:
    """Count what `model/loading/parameter_counts.json` holds, a line a number."""
    import json
    import tempfile
    from pathlib import Path

    from instruct_ablate.model.loading.parameter_count import counts_to_ship

    with tempfile.TemporaryDirectory() as folder:
        lines = (
            f' "{key}": {json.dumps(count)}' for key, count in sorted(counts_to_ship(Path(folder)).items())
        )
        return "{\n" + ",\n".join(lines) + "\n}"
