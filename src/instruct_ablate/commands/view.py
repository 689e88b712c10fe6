"""`instruct-ablate view STUDY`: the report's page served on this machine, predictions read as they are looked at."""

from __future__ import annotations

from pathlib import Path

import click

from instruct_ablate.terminal import echo


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--port",
    default=0,
    show_default="a free one",
    type=click.IntRange(0, 65_535),
    help="Port of 127.0.0.1 to listen at.",
)
def command(study: Path, port: int) -> None:
    """Serve the page of STUDY to browsers on this machine. It has all predictions, and ends with Ctrl-C.

    instruct-ablate view multirun/ablation --port 8765
    """
    from instruct_ablate.errors import UserError
    from instruct_ablate.report.view.served_page import serve_study

    try:
        server = serve_study(study, port)
    except OSError as error:
        raise UserError(f"cannot listen at port {port}: {error.strerror}; give another --port") from error
    with server:
        echo(f"{study.name}: {server.url}")
        echo("This address lets its reader in; Ctrl-C ends it.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            echo("ended")
