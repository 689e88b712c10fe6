"""`instruct-ablate plan [OVERRIDES]`: what a grid will take, before anything is launched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from instruct_ablate.terminal import echo, make_console

if TYPE_CHECKING:
    from instruct_ablate.grid.plan import PlannedCell


@click.command(name="plan")
@click.argument("overrides", nargs=-1)
@click.option("--probe", "steps", type=int, help="Measure speeds: run so many real steps of each model.")
@click.option("--budget", help="A time such as 8h: which cells fit, in the order they run in.")
@click.option("--brief", is_flag=True, help="The sums alone, no table.")
def command(overrides: tuple[str, ...], steps: int | None, budget: str | None, brief: bool) -> None:
    """Show the cells, instances, tokens, steps, disk and time of the grid that OVERRIDES span.

    OVERRIDES are those of train.py -m: experiment=NAME, or instruction=original,simplified seed=0,1
    """
    from instruct_ablate.grid.plan import (
        compose_plan,
        parse_budget,
        plan_table,
        planned,
        recorded_speeds,
        summary,
    )

    limit = parse_budget(budget) if budget else None
    plan = compose_plan(overrides)
    measured = recorded_speeds(plan)
    if steps is not None:
        from instruct_ablate.grid.probe import probe

        measured |= probe(plan.cells, steps)
    cells = planned(plan, measured, limit)
    if not brief:
        make_console().print(plan_table(cells))
    for line in (*summary(plan, cells), *_noise_floor(cells)):
        echo(line)


def _noise_floor(cells: list[PlannedCell]) -> tuple[str, ...]:
    """Say what differences the trained cells could show, from what the studies under the same output measured."""
    from instruct_ablate.report.differences import measured_designs
    from instruct_ablate.report.statistics.planned import Planned, planned_line, planned_of

    trained = [one for one in cells if not one.cell.identity.setting.untuned]
    planned = planned_of(
        (one.cell.identity.setting, one.cell.identity.seed, Planned(0, e.test_tasks, e.task_instances))
        for one in trained
        for e in (one.estimate,)
    )
    if planned is None:
        return ()
    outputs = {Path(one.cell.config.output) for one in trained}
    studies = sorted({path.parent.parent for output in outputs for path in output.glob("*/*/record.json")})
    return (planned_line(planned, measured_designs(studies)),)
