"""`instruct-ablate plan [OVERRIDES]`: what a grid will take, before anything is launched."""

from __future__ import annotations

import click


@click.command(name="plan")
@click.argument("overrides", nargs=-1)
@click.option("--probe", "steps", type=int, help="Measure speeds: run so many real steps of each model.")
@click.option("--budget", help="A time such as 8h: which cells fit, in the order they run in.")
@click.option("--brief", is_flag=True, help="The sums alone, no table.")
def command(overrides: tuple[str, ...], steps: int | None, budget: str | None, brief: bool) -> None:
    """Show the cells, instances, tokens, steps, disk and time of the grid that OVERRIDES span.

    OVERRIDES are those of train.py -m: experiment=NAME, or instruction=original,simplified seed=0,1
    """
    from rich.console import Console

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
        Console().print(plan_table(cells))
    for line in summary(plan, cells):
        click.echo(line)
