"""`instruct-ablate rescore STUDY`: all scores computed again from the saved predictions, without models."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="rescore")
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--metric", "metrics", multiple=True, help="A further metric, module.function; may be repeated."
)
def command(study: Path, metrics: tuple[str, ...]) -> None:
    """Compute the scores of STUDY again after a metric changed; earlier scores are kept beside the new ones."""
    from instruct_ablate.cell.after.rescore import rescore_study

    results = rescore_study(study, metrics or None)
    for result in results:
        if result.left:
            click.echo(f"{result.name}: left as it is ({result.left})")
        elif result.changed:
            click.echo(f"{result.name}: scores changed")
    changed = sum(result.changed for result in results)
    left = sum(bool(result.left) for result in results)
    click.echo(
        f"{len(results)} cells: {changed} changed, {len(results) - changed - left} the same, {left} left"
    )
