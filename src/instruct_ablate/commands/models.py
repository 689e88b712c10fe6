"""`instruct-ablate models`: the models named by hub id."""

from __future__ import annotations

import click

from instruct_ablate.terminal import echo, make_console


@click.command()
@click.option("--markdown", is_flag=True, help="The page docs/models.md instead.")
def command(markdown: bool) -> None:
    """List the models named by hub id: size, terms, GB while training, and which instructions they have seen.

    instruct-ablate models
    """
    from rich.table import Table

    from instruct_ablate.models_page import COLUMNS, models_page, rows

    if markdown:
        echo(models_page().removesuffix("\n"))
        return
    table = Table()
    for heading in COLUMNS:
        table.add_column(heading, overflow="fold")
    for row in rows():
        table.add_row(*row)
    make_console().print(table)
