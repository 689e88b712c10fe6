"""A grid before it is launched: its cells in order, which are done, and what the others will take."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from instruct_ablate.cell.state.canonical import effective
from instruct_ablate.cell.state.setting.contamination import seen_line
from instruct_ablate.cell.state.setting.rates import rate_line
from instruct_ablate.configuration.composition import explain, register, unreadable
from instruct_ablate.configuration.folders import config_directory
from instruct_ablate.configuration.top_layers import ALL
from instruct_ablate.errors import UserError, refusal
from instruct_ablate.grid.checking.preflight import planned_faults
from instruct_ablate.grid.composing.expansion import Declared
from instruct_ablate.grid.composing.overrides import prepared
from instruct_ablate.grid.order import ordered
from instruct_ablate.grid.planned_cell import Cell
from instruct_ablate.grid.planning.estimate import AT_ONCE, Estimate, Estimator
from instruct_ablate.grid.planning.template_lengths import template_lines
from instruct_ablate.grid.speeds import Speeds, machine_lines
from instruct_ablate.grid.study import Study, read_study
from instruct_ablate.grid.sweep import HydraParts, Plan, plan_cells
from instruct_ablate.plural import counted
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.sampling.validation import held_out_line

if TYPE_CHECKING:
    from rich.table import Table

_BUDGET = re.compile(r"(\d+(?:\.\d+)?)(s|m|min|h|d)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class PlannedCell:
    """One distinct cell, as it stands and as it will be; `fits` in the budget."""

    cell: Cell
    state: str
    estimate: Estimate
    fits: bool


def compose_plan(overrides: Sequence[str]) -> Plan:
    """Compose the grid that `python train.py -m OVERRIDES` would run."""
    from hydra import initialize_config_dir

    lines = prepared(overrides)
    register()
    try:
        with initialize_config_dir(str(config_directory()), version_base=None):
            plan = plan_cells(*_composed(lines))
    except Exception as error:
        if (fault := explain(error)) is not None:
            raise fault from error
        raise
    if plan.faults:
        raise refusal(plan.faults)
    return plan


def _composed(lines: Sequence[str]) -> tuple[HydraParts, Declared, list[str]]:
    """Compose what all cells share, as Hydra does for a sweep."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    try:
        master = hydra.compose_config(
            config_name="config",
            overrides=list(lines),
            run_mode=RunMode.MULTIRUN,
            from_shell=False,
            with_log_configuration=False,
        )
    except Exception as error:
        raise (explain(error) or unreadable(error)) from error
    sweeper = master.hydra.sweeper
    declared = Declared(dict(sweeper.params), [dict(grid) for grid in sweeper.grids])
    arguments = [line for line in lines if not line.startswith("hydra")]
    return HydraParts(SimpleNamespace(config_loader=hydra.config_loader), None, master), declared, arguments


def studies_beside(plan: Plan) -> list[Study]:
    """Read all studies under the same output folders, whose cells say how fast such ones run, and how they vary."""
    outputs = map(Path, dict.fromkeys(cell.config.output for cell in plan.cells))
    folders = sorted({path.parent.parent for output in outputs for path in output.glob("*/*/record.json")})
    return [read_study(folder, plan.records) for folder in folders]


def planned(plan: Plan, measured: Speeds, budget: float | None = None) -> list[PlannedCell]:
    """Put the cells in the order they run in, and see which of them fit in `budget` seconds.

    Untuned and reference variant come first and seeds go breadth-first, so that what fits can be analysed.
    """
    return list(_planned(plan, Estimator(measured), budget))


def check_planned(plan: Plan, cells: Sequence[PlannedCell]) -> list[str]:
    """Refuse what the start would refuse of cells that are not done; return in words what only the start can check."""
    configs = [one.cell.config for one in cells if one.state != "done"]
    found, left = planned_faults(configs, plan.starts_ranks)
    if found:
        raise refusal(found)
    return [f"checked at the start alone: {'; '.join(left)}"] if left else []


def _planned(plan: Plan, estimator: Estimator, budget: float | None) -> Iterator[PlannedCell]:
    spent = 0.0
    for cell in ordered(plan.cells):
        state = plan.records.state(cell.folder, cell.identity.hash)
        estimate = estimator.estimate(cell.config)
        if state != "done":
            if estimate.seconds is None and budget is not None:
                raise UserError(
                    f"--budget: no cell of model={cell.config.model.name} was measured training so; add --probe 20"
                )
            spent += estimate.seconds or 0.0
        yield PlannedCell(cell, state, estimate, state == "done" or budget is None or spent <= budget)


def with_estimates(cells: Sequence[PlannedCell], estimator: Estimator) -> list[PlannedCell]:
    """Estimate the cells anew, as from further measured speeds."""
    return [replace(one, estimate=estimator.estimate(one.cell.config)) for one in cells]


def parse_budget(text: str) -> float:
    """Read `8h`, `90min` or `2d` as seconds."""
    found = _BUDGET.fullmatch(text.strip())
    if found is None:
        raise UserError(f"--budget {text!r}: give a number and a unit, such as 8h, 90min or 2d")
    return float(found[1]) * _SECONDS[found[2]]


def plan_table(cells: Sequence[PlannedCell]) -> Table:
    """Build the table of cells, in order."""
    from rich.text import Text

    from instruct_ablate.long_table import LongTable

    table = LongTable()
    for heading in ("cell", "state", "instances", "steps", "tokens", "tested", "time"):
        table.add_column(
            heading, justify="left" if heading in ("cell", "state") else "right", overflow="fold"
        )
    for one in cells:
        e, style = one.estimate, "" if one.fits else "dim"
        state = one.state if one.fits else "over budget"
        time = "" if one.state == "done" else clock(e.seconds)
        numbers = (e.train_instances, e.steps, e.train_tokens, e.test_instances)
        told = [f"{number:,}" for number in numbers]
        table.add_row(Text(one.cell.identity.name), state, *told, time, style=style)
    return table


def summary(plan: Plan, cells: Sequence[PlannedCell], measured: Speeds | None = None) -> list[str]:
    """Say in a few lines what the grid amounts to, and what that rests on; `measured`: all speeds there are."""
    todo = [one for one in cells if one.state != "done" and one.fits]
    done = sum(one.state == "done" for one in cells)
    over = sum(not one.fits for one in cells)
    estimates = [one.estimate for one in todo]
    lines = [
        f"{plan.asked} asked for, {counted(len(cells), 'distinct cell')} ({plan.added} untuned added): "
        f"{done} done, {len(todo)} to run" + (f", {over} over the budget" if over else ""),
        f"training: {counted(sum(e.train_instances for e in estimates), 'instance')}, "
        f"{counted(sum(e.steps for e in estimates), 'step')}, about "
        f"{counted(sum(e.train_tokens for e in estimates), 'token')}; "
        f"testing: {counted(sum(e.test_instances for e in estimates), 'prediction')}",
        *_uncounted(todo),
        f"disk: {_disk(todo)}",
        *_frozen(todo),
        *_memory(todo),
        *filter(None, (line(one.cell.identity.setting for one in cells) for line in (rate_line, seen_line))),
        *_held_out(cells),
        *template_lines(one.cell.config for one in cells),
    ]
    times = [e.seconds for e in estimates]
    known = [seconds for seconds in times if seconds is not None]
    if len(known) < len(times):
        unknown = counted(len(times) - len(known), "cell")
        lines.append(f"time: {unknown} of models never measured so; --probe 20 measures them")
    if known:
        lines.append(f"time: about {clock(sum(known))}, one cell after the other")
    return [*lines, *measured_lines(measured or {}, todo)]


def measured_lines(measured: Speeds, cells: Sequence[PlannedCell]) -> Iterator[str]:
    """Say on which machines the times of cells rest, and which of those measured are left out."""
    used = ((one.cell.config.model.name, one.estimate.measured_on) for one in cells)
    return machine_lines(measured, (pair for pair in used if pair[1]))


def _uncounted(todo: Sequence[PlannedCell]) -> Iterator[str]:
    """Say of which models tokens are not counted, but taken from the length of texts."""
    models = dict.fromkeys(one.cell.config.model.name for one in todo if not one.estimate.tokens_counted)
    if models:
        yield (
            f"tokens of {', '.join(models)}: four characters are taken for one, for no tokenizer.json is at hand "
            "(`instruct-ablate prepare` fetches models)"
        )


def _held_out(cells: Sequence[PlannedCell]) -> Iterator[str]:
    """Name the training tasks that are held out, once for all cells that hold out the same."""
    configs = [effective(one.cell.config) for one in cells if one.cell.config.tasks.validation]
    asked = {(str(one.tasks), one.cache): one for one in configs if one.tasks.validation}
    for config in asked.values():
        yield held_out_line(read_tasks(config.tasks, Path(config.cache)))


def _memory(todo: Sequence[PlannedCell]) -> Iterator[str]:
    """Say what the largest training takes, activations left out."""
    known = [(one.estimate.training_bytes or 0, one) for one in todo]
    size, largest = max(known, key=lambda pair: pair[0], default=(0, None))
    if largest is not None and size:
        config = largest.cell.config
        yield (
            f"memory: up to {size / 1e9:.2f} GB for weights, gradients and optimiser ({config.model.name}, "
            f"{config.method.name}); activations come on top"
        )


def _disk(todo: Sequence[PlannedCell]) -> str:
    sizes = [one.estimate.checkpoint_bytes for one in todo]
    if any(size is None for size in sizes):
        return "checkpoints of unknown size: `instruct-ablate prepare` fetches the model first"
    known = [size for size in sizes if size]
    kept = sum(one.estimate.checkpoint_bytes or 0 for one in todo if one.cell.config.keep_checkpoints)
    running = f"checkpoints up to {AT_ONCE * max(known, default=0) / 1e9:.2f} GB for each running cell"
    return f"{running}, {AT_ONCE * kept / 1e9:.2f} GB kept afterwards"


def _frozen(todo: Sequence[PlannedCell]) -> Iterator[str]:
    """Say what the cache may come to hold of what frozen layers give: each cell fills it up to its own bound."""
    bounds: dict[str, float] = {}
    for one in todo:
        config = one.cell.config
        if (
            config.method.name == "lora" and config.method.layers != ALL
        ):  # the untuned cell keeps its prompts too
            bounds[config.cache] = max(bounds.get(config.cache, 0.0), config.trainer.frozen_cache_gb)
    for cache, bound in bounds.items():
        if bound:
            yield (
                f"disk: what frozen layers give is kept in {cache}/frozen, up to {bound:g} GB for all cells together "
                "(trainer.frozen_cache_gb)"
            )


def clock(seconds: float | None) -> str:
    """Write a duration as h:mm:ss; unknown as a question mark."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
