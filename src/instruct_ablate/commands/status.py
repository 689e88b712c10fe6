"""`instruct-ablate status STUDY`: the cells of a study by state."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="status")
@click.argument("study", type=click.Path(path_type=Path))
def command(study: Path) -> None:
    """Show the cells of STUDY (a folder such as multirun/NAME) by state, with progress, host and last error."""
    from rich.console import Console

    from instruct_ablate.grid.status import status_table

    Console().print(status_table(study))
