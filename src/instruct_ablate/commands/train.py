"""`instruct-ablate train [OVERRIDES]`: `python train.py` for those who have the package and not the repository."""

from __future__ import annotations

import sys

import click

from instruct_ablate.completion import complete_override


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, shell_complete=complete_override)
def command(words: tuple[str, ...]) -> None:
    """Run one cell, or with -m a grid; --help lists groups and keys.

    instruct-ablate train -m instruction=original,simplified seed=0,1
    """
    from instruct_ablate.entry import main
    from instruct_ablate.process.processes import PROGRAM

    sys.argv = [PROGRAM, *words]
    main()
