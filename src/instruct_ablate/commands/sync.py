"""`instruct-ablate sync STUDY`: uploads the finished cells that were logged to W&B offline."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from instruct_ablate.terminal import echo


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="Runs at a time.")
@click.option("--summary/--no-summary", default=True, help="Write the report's own run first.")
@click.option("--dry-run", is_flag=True, help="Say what would be uploaded, and upload nothing.")
def command(study: Path, workers: int, summary: bool, dry_run: bool) -> None:
    """Upload what STUDY logged to W&B offline. Running it again goes on with what is left.

    With the cells goes a run of the study's own, with the tables and figures of its report.

    instruct-ablate sync multirun/ablation --dry-run
    """
    from instruct_ablate.cell.mirror.offline_runs import offline_runs, overtaken, sync_runs
    from instruct_ablate.cell.mirror.wandb_run import has_key
    from instruct_ablate.errors import UserError
    from instruct_ablate.grid.study import check_study

    check_study(study)
    runs = offline_runs(study)
    waiting = [run for run in runs if run.finished and not run.uploaded]
    before = sum(run.uploaded for run in runs)
    echo(f"{len(runs)} offline logs: {before} uploaded before, {len(waiting)} to upload")
    if dry_run or not waiting:
        for run in waiting:
            echo(f"  {run.log}")
        return
    if not has_key():
        raise UserError(
            "there is no W&B key: set WANDB_API_KEY or run `wandb login` (and WANDB_BASE_URL for a server of your own)."
        )
    if summary:
        _summarise(study)
    for cell in overtaken(runs):
        _tell_again(cell)
    synced = sync_runs(offline_runs(study), workers)
    echo(f"{len(synced.uploaded)} uploaded, {len(synced.left)} left")
    for run, why in synced.left:
        echo(f"  {run.cell}: {why}")
    sys.exit(1 if any(run.finished for run, _ in synced.left) else 0)


def _tell_again(cell: Path) -> None:
    """Have a log of a cell's present record behind the older ones that go up."""
    from instruct_ablate.cell.mirror.loggers import guarded
    from instruct_ablate.cell.mirror.wandb_export import tell_again
    from instruct_ablate.cell.state.store import read_record

    with guarded(f"the run of {cell.name}"):
        if (record := read_record(cell)) is not None:
            tell_again(cell, record)


def _summarise(study: Path) -> None:
    """Log the report as it is now, for what goes up with it; where that fails the cells go up without."""
    from instruct_ablate.cell.mirror.loggers import guarded
    from instruct_ablate.report.dashboards.wandb_summary import log_summary, mirrored
    from instruct_ablate.report.report import write_report

    logger = mirrored(study)
    if logger is not None:
        logger.mode = "offline"
        with guarded("the study's own run"):
            log_summary(write_report(study), logger)
