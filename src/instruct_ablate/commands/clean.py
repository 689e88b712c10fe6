"""`instruct-ablate clean STUDY`: says what could go and how much it would free; frees it when asked to."""

from __future__ import annotations

from pathlib import Path

import click

from instruct_ablate.terminal import echo


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Remove it; without this nothing is touched.")
@click.option("--quarantined", is_flag=True, help="Records that were put aside as unreadable, too.")
@click.option(
    "--forget", multiple=True, metavar="CELL", help="Ask no more for a cell whose folder was removed."
)
def command(study: Path, yes: bool, quarantined: bool, forget: tuple[str, ...]) -> None:
    """Remove what STUDY no longer needs. It removes checkpoints of done cells, damaged and temporary files.

    Records, predictions and what interrupted cells go on from always stay.

    instruct-ablate clean multirun/ablation --yes
    """
    from instruct_ablate.grid.clean import leftovers, remove
    from instruct_ablate.grid.declaration import forget as drop

    for name in forget:
        drop(study, name)
        echo(f"forgotten: {name}")
    if forget:
        return
    found = leftovers(study, quarantined)
    for leftover in found:
        echo(f"{leftover.size / 1e6:10.2f} MB  {leftover.why}: {leftover.path}")
    total = sum(leftover.size for leftover in found) / 1e6
    if not found:
        echo("nothing to free")
    elif yes:
        echo(f"freed {remove(found) / 1e6:.2f} MB")
    else:
        echo(f"{total:.2f} MB could be freed: add --yes")
