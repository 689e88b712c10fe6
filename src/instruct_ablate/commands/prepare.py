"""`instruct-ablate prepare [OVERRIDES]`: fetches and converts what cells will need, ahead of the sweep."""

from __future__ import annotations

import click


@click.command(name="prepare")
@click.argument("overrides", nargs=-1)
def command(overrides: tuple[str, ...]) -> None:
    """Fetch and convert the model, read the tasks. OVERRIDES are those of train.py: model=smollm2_135m

    Compute nodes without internet then find everything in the cache.
    """
    from instruct_ablate.grid.composer import compose_config
    from instruct_ablate.grid.prepare import prepare

    for line in prepare(compose_config(overrides)):
        click.echo(line)
