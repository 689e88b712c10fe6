"""A study's W&B workspace: scores by variant and by budget, learning curves, costs; by wandb-workspaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from instruct_ablate.cell.mirror.settings import mirrored_name
from instruct_ablate.disk.learning_curve import LOGGED
from instruct_ablate.errors import UserError
from instruct_ablate.metrics import find_measure
from instruct_ablate.report.rows.columns import shown_measures

CURVES = {
    f"{LOGGED}loss": "Training loss",
    f"{LOGGED}learning_rate": "Learning rate",
    f"{LOGGED}grad_norm": "Gradient norm",
    f"{LOGGED}tokens_per_second": "Tokens per second",
}
COSTS = ("cost/train_seconds", "cost/evaluate_seconds", "cost/peak_memory")
BY = {"variant": "axes.instruction", "budget": "axes.data_budget", "model": "axes.model"}


def build_workspace(study: str, project: str, entity: str, measures: Sequence[str] = ()) -> Any:
    """Build the workspace of a study: its runs alone, grouped by training variant, the untuned ones among them."""
    try:
        import wandb_workspaces.workspaces as ws
    except ModuleNotFoundError as error:
        raise UserError(
            "dashboard needs the package wandb-workspaces: pip install 'instruct-ablate[dashboard]'"
        ) from error
    by_axis = [
        ws.Section(
            name=f"Scores by {name}",
            panels=_bars(key, measures or shown_measures(())),
            is_open=name == "variant",
        )
        for name, key in BY.items()
    ]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=mirrored_name(study, ": ablation"),
        sections=[
            *by_axis,
            ws.Section(name="Learning curves", panels=_curves()),
            ws.Section("Cost", panels=_costs()),
        ],
        runset_settings=ws.RunsetSettings(
            filters=ws.And(ws.Metric("Group") == mirrored_name(study), ws.Metric("JobType") != "summary"),
            groupby=[ws.Config(BY["variant"])],
        ),
    )


def _bars(key: str, measures: Sequence[str]) -> list[Any]:
    """One panel a score: the mean over the runs of a group, its spread beside it."""
    import wandb_workspaces.reports.v2 as wr

    return [
        wr.BarPlot(
            title=find_measure(name).label,
            metrics=[name],
            groupby=wr.Config(key),
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
        )
        for name in measures
    ]


def _curves() -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    return [
        wr.LinePlot(
            title=title, x="Step", y=[metric], groupby=wr.Config(BY["variant"]), groupby_aggfunc="mean"
        )
        for metric, title in CURVES.items()
    ]


def _costs() -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    return [
        wr.BarPlot(title=metric, metrics=[metric], groupby=wr.Config(BY["model"]), groupby_aggfunc="mean")
        for metric in COSTS
    ]
