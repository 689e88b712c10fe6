"""`instruct-ablate rescore STUDY`: all scores computed again from the saved predictions, without models."""

from __future__ import annotations

from pathlib import Path

import click

from instruct_ablate.plural import counted
from instruct_ablate.terminal import echo


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--metric", "metrics", multiple=True, help="A further metric, module.function; may be repeated."
)
@click.option("--extensions", multiple=True, help="A Python file of yours with metrics; may be repeated.")
@click.option("--trust", is_flag=True, help="Run the code that the study itself names.")
def command(study: Path, metrics: tuple[str, ...], extensions: tuple[str, ...], trust: bool) -> None:
    """Compute the scores of STUDY again. Earlier scores are kept beside the new ones.

    instruct-ablate rescore multirun/ablation --extensions my_metrics.py
    """
    from instruct_ablate.cell.after.rescore import model_needed, rescore_study, waiting_runs
    from instruct_ablate.metrics import Selection

    results = rescore_study(study, Selection(metrics, extensions), trust)
    for result in results:
        if result.left:
            echo(f"{result.name}: left as it is ({result.left})")
        elif result.changed:
            echo(f"{result.name}: scores changed")
        if result.edited:
            files = ", ".join(result.edited)
            echo(f"{result.name}: {files} was changed after it was scored, and by no command of this package")
        if result.stayed:
            names = ", ".join(result.stayed)
            echo(f"{result.name}: {names} as before; --extensions FILE with their code scores them again")
        if result.needs_model:
            echo(f"{result.name}: {model_needed(result.needs_model)}")
    if runs := sum(result.mirrored for result in results):
        echo(waiting_runs(runs, study))
    changed = sum(result.changed for result in results)
    left = sum(bool(result.left) for result in results)
    echo(
        f"{counted(len(results), 'cell')}: {changed} changed, {len(results) - changed - left} the same, {left} left"
    )
