"""`instruct-ablate status STUDY`: the cells of a study by state."""

from __future__ import annotations

import time
from pathlib import Path

import click

from instruct_ablate.errors import UserError
from instruct_ablate.terminal import echo, json_option, make_console, print_json


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--watch", is_flag=True, help="Look again every few seconds, until Ctrl-C.")
@click.option("--every", default=5.0, show_default=True, help="Seconds between two looks.")
@json_option
def command(study: Path, watch: bool, every: float, as_json: bool) -> None:
    """Show the cells of STUDY by state. STUDY is a folder such as multirun/NAME; progress and last error are told.

    instruct-ablate status multirun/ablation --watch
    """
    from rich.live import Live

    from instruct_ablate.grid.status import status_table

    if as_json:
        from instruct_ablate.report.as_json import status_fields

        if watch:
            raise UserError("--json looks once: call it again instead of --watch")
        print_json(status_fields(study))
        return
    if not watch:
        table = status_table(study)
        if not table.row_count:  # it would show no title either
            echo(f"{study.resolve().name}: no cell was asked for yet")
            return
        make_console().print(table)
        return
    try:
        with Live(status_table(study), auto_refresh=False, console=make_console()) as live:
            while True:
                time.sleep(every)
                live.update(status_table(study), refresh=True)
    except KeyboardInterrupt:
        return
