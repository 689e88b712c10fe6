"""`instruct-ablate dashboard STUDY`: a saved W&B workspace with panels by variant and budget."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from instruct_ablate.terminal import echo


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--entity", help="Your W&B user or team; default: logger.entity of the cells, then the key's owner."
)
@click.option("--show", is_flag=True, help="Print the workspace as JSON and save nothing.")
def command(study: Path, entity: str | None, show: bool) -> None:
    """Save a workspace for STUDY at W&B and print its address.

    instruct-ablate dashboard multirun/ablation --show
    """
    from instruct_ablate.cell.mirror.wandb_run import has_key
    from instruct_ablate.errors import UserError
    from instruct_ablate.grid.study import read_study
    from instruct_ablate.report.dashboards.wandb_summary import mirrored_logger
    from instruct_ablate.report.dashboards.workspace import build_workspace
    from instruct_ablate.report.rows.columns import shown_measures

    logger = mirrored_logger(study)
    owner, known = entity or logger.entity, read_study(study)
    measures = shown_measures(known.cells, known.columns)
    if show:
        workspace = build_workspace(study.name, logger.project, owner or "", measures)
        echo(json.dumps(dataclasses.asdict(workspace), default=str, indent=1))
        return
    if not has_key():
        raise UserError("there is no W&B key: set WANDB_API_KEY or run `wandb login`; --show needs none")
    workspace = build_workspace(study.name, logger.project, owner or _owner(), measures)
    workspace.save()
    echo(workspace.url)


def _owner() -> str:
    import wandb

    return str(wandb.Api().default_entity)
