"""`instruct-ablate prepare [OVERRIDES]`: fetches and converts what cells will need, ahead of the sweep."""

from __future__ import annotations

import click

from instruct_ablate.completion import complete_override, config_dir
from instruct_ablate.terminal import echo


@click.command()
@click.argument("overrides", nargs=-1, shell_complete=complete_override)
@config_dir
@click.option(
    "--verify", "compare", is_flag=True, help="First compare every byte in the cache with what was built."
)
def command(overrides: tuple[str, ...], compare: bool) -> None:
    """Fetch and convert the model, read the tasks. OVERRIDES are those of train.py: model=smollm2_135m

    Compute nodes without internet then find everything in the cache.

    instruct-ablate prepare model=smollm2_135m --verify
    """
    from pathlib import Path

    from instruct_ablate.grid.composing.composer import compose_config
    from instruct_ablate.grid.planning.prepare import prepare, verify

    config = compose_config(overrides)
    for line in verify(Path(config.cache)) if compare else ():
        echo(line)
    for line in prepare(config):
        echo(line)
