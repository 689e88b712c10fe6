"""`instruct-ablate plan [OVERRIDES]`: what a grid will take, before anything is launched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from instruct_ablate.completion import complete_override, config_dir
from instruct_ablate.errors import UserError
from instruct_ablate.terminal import echo, json_option, make_console, print_json

if TYPE_CHECKING:
    from instruct_ablate.grid.planning.plan import PlannedCell
    from instruct_ablate.grid.speeds import Speeds
    from instruct_ablate.grid.study import Study
    from instruct_ablate.grid.sweep import Plan
    from instruct_ablate.report.statistics.planned import Planned


@click.command()
@click.argument("overrides", nargs=-1, shell_complete=complete_override)
@config_dir
@click.option("--probe", "steps", type=int, help="Measure speeds: run so many real steps of each model.")
@click.option("--budget", help="A time such as 8h: which cells fit, in the order they run in.")
@click.option("--brief", is_flag=True, help="The sums alone, no table.")
@click.option("--decide", is_flag=True, help="Propose seeds, tasks and instances that decide the hypotheses.")
@click.option(
    "--from",
    "earlier",
    multiple=True,
    type=click.Path(path_type=Path),
    help="With --decide: an earlier study.",
)
@click.option(
    "--truth",
    type=float,
    help="With --decide: points by which equal sides truly differ, or lie beyond a bound.  [0, or 2 beyond]",
)
@json_option
def command(
    overrides: tuple[str, ...],
    steps: int | None,
    budget: str | None,
    brief: bool,
    decide: bool,
    earlier: tuple[Path, ...],
    truth: float | None,
    as_json: bool,
) -> None:
    """Show what a grid would take, before it is launched. It tells cells, instances, tokens, steps, disk and time.

    OVERRIDES are those of train.py -m: experiment=NAME, or instruction=original,simplified seed=0,1

    instruct-ablate plan instruction=original,delusive seed=0,1 --budget 8h
    """
    from instruct_ablate.grid.planning.plan import (
        check_planned,
        compose_plan,
        parse_budget,
        plan_table,
        planned,
        studies_beside,
        summary,
    )
    from instruct_ablate.grid.rounds import planned_rounds
    from instruct_ablate.report.verdicts.at_looks import StudyJudge

    if not decide:
        _check_undecided(earlier, truth)
    limit = parse_budget(budget) if budget else None
    plan = compose_plan(overrides)
    around = studies_beside(plan)
    measured = _measured(plan, around, steps)
    cells = planned(plan, measured, limit)
    left = [*check_planned(plan, cells), *planned_rounds(plan.cells, StudyJudge())]
    proposal = _proposal(cells, measured, earlier, truth) if decide else ()
    lines = (*summary(plan, cells, measured), *_unmet(cells), *left, *_noise_floor(cells, around), *proposal)
    if as_json:
        from instruct_ablate.report.as_json import plan_fields

        print_json(plan_fields(cells, lines))
        return
    if not brief:
        make_console().print(plan_table(cells))
    for line in lines:
        echo(line)


def _measured(plan: Plan, around: list[Study], steps: int | None) -> Speeds:
    """Return the speeds of the studies around a grid, and of a probe of so many steps where one is asked for."""
    from instruct_ablate.grid.speeds import speeds

    measured = speeds(
        (record for study in around for record in study.cells), (cell.config for cell in plan.cells)
    )
    if steps is None:
        return measured
    from instruct_ablate.grid.planning.probe import probe

    return measured | probe(plan.cells, steps)


def _unmet(cells: list[PlannedCell]) -> tuple[str, ...]:
    """Say which budgets tasks have too few instances for, or the collection too few tasks."""
    from instruct_ablate.cell.state.record.record import Drawn
    from instruct_ablate.report.rows.budgets import planned_unmet

    trained = [(one.cell.identity.setting, one.estimate) for one in cells if one.estimate.train_tasks]
    return tuple(planned_unmet((setting, Drawn(e.train_tasks, e.train_instances)) for setting, e in trained))


def _check_undecided(earlier: tuple[Path, ...], truth: float | None) -> None:
    """Refuse options of --decide where it is not there."""
    if earlier:
        raise UserError("--from goes with --decide: it names the studies that variances are taken from")
    if truth is not None:
        raise UserError("--truth goes with --decide: it states the difference that power is asked for")


def _proposal(
    cells: list[PlannedCell], measured: Speeds, earlier: tuple[Path, ...], truth: float | None
) -> tuple[str, ...]:
    """Say which seeds, tasks and instances decide the hypotheses, with speeds of the earlier studies too."""
    from instruct_ablate.grid.planning.estimate import Estimator
    from instruct_ablate.grid.planning.plan import measured_lines, with_estimates
    from instruct_ablate.grid.speeds import beside, speeds
    from instruct_ablate.grid.study import read_study
    from instruct_ablate.report.verdicts.decide import claims, decide_lines, most_of, price_of

    if (asked := _asked(cells)) is None:
        raise UserError("--decide: the grid trains nothing; name a data_budget above 0")
    config = cells[0].cell.config
    identities = [one.cell.identity for one in cells]
    found = claims(config.hypotheses, config.reference, identities, earlier, truth)
    own = speeds(
        (record for folder in earlier for record in read_study(folder).cells),
        (one.cell.config for one in cells),
    )
    every = beside(measured, own)
    estimator = Estimator(every)
    again = with_estimates(cells, estimator)
    lines = decide_lines(found, price_of(again, estimator), asked, most_of(cells))
    return (*lines, *(measured_lines(every, again) if own else ()))


def _asked(cells: list[PlannedCell]) -> Planned | None:
    """Return the size that most trained settings have."""
    from instruct_ablate.report.statistics.planned import Planned, planned_of

    return planned_of(
        (one.cell.identity.setting, one.cell.identity.seed, Planned(0, e.test_tasks, e.task_instances))
        for one in cells
        if not one.cell.identity.setting.untuned
        for e in (one.estimate,)
    )


def _noise_floor(cells: list[PlannedCell], beside: list[Study]) -> tuple[str, ...]:
    """Say what differences the trained cells could show, from what the studies under the same output measured."""
    from instruct_ablate.report.statistics.planned import planned_line
    from instruct_ablate.report.tables.differences import measured_designs

    if (planned := _asked(cells)) is None:
        return ()
    outputs = {Path(one.cell.config.output) for one in cells if not one.cell.identity.setting.untuned}
    return (planned_line(planned, measured_designs(s for s in beside if s.folder.parent in outputs)),)
