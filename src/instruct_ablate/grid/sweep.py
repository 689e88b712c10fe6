"""A sweep from command line to summary: expand, compose, check, launch what is missing, read the disk."""

from __future__ import annotations

import logging
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from instruct_ablate.cell.after.rescore import (
    is_behind,
    lacks_model,
    model_needed,
    rescore_cell,
    waiting_runs,
)
from instruct_ablate.cell.mirror.loggers import LOST
from instruct_ablate.cell.mirror.wandb_export import WITHOUT_RUN, lacks_run
from instruct_ablate.cell.mirror.wandb_internals import leave_service
from instruct_ablate.cell.mirror.wandb_run import keyless
from instruct_ablate.cell.run.evaluation import selected
from instruct_ablate.cell.run.points import WITHOUT_POINTS, is_without_points
from instruct_ablate.cell.state.canonical import is_baseline, is_untuned
from instruct_ablate.cell.state.identity import Contents, identify, regardless_of_order
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.store import Records, missing_record, read_record, record_fault
from instruct_ablate.errors import UserError, UserErrors, refusal
from instruct_ablate.grid.checking.axes import needless_seeds
from instruct_ablate.grid.checking.effects import twins
from instruct_ablate.grid.checking.preflight import Preflight, faults
from instruct_ablate.grid.checking.unread import unread
from instruct_ablate.grid.checking.written import ended_alike
from instruct_ablate.grid.claims import by_study, without_data
from instruct_ablate.grid.composing.composer import Composer, check_choices
from instruct_ablate.grid.composing.expansion import Declared, expand
from instruct_ablate.grid.composing.overrides import check_name, for_hydra, split
from instruct_ablate.grid.declaration import declare
from instruct_ablate.grid.folder_names import named
from instruct_ablate.grid.kept_tests import keeping_for_others
from instruct_ablate.grid.launch.hand_over import launch
from instruct_ablate.grid.launch.made import launcher_name, make_launcher
from instruct_ablate.grid.launch.slurm_queue import queued
from instruct_ablate.grid.order import ordered
from instruct_ablate.grid.planned_cell import Cell, study_folder
from instruct_ablate.grid.rounds import Judge, rounds_of, run_rounds, wanted
from instruct_ablate.metrics.registry import reading_model
from instruct_ablate.plural import are, counted
from instruct_ablate.process.processes import rank
from instruct_ablate.schema import BudgetConfig
from instruct_ablate.terminal import echo

log = logging.getLogger(__name__)
Summary = Callable[[Path], None]


@dataclass(frozen=True)
class Reporter:
    """What a sweep needs of reports, which stand below the grid: a table, its report, answers to its hypotheses."""

    summary: Summary
    close: Summary  # of a sweep that ends with its report
    judge: Callable[[], Judge]


@dataclass(frozen=True)
class HydraParts:
    """What Hydra hands to a sweeper."""

    context: Any
    task_function: Any
    config: Any


def run_sweep(hydra: HydraParts, declared: Declared, arguments: Sequence[str], report: Reporter) -> int:
    """Run the grid, print what became of each study, and return how many of its cells are not done."""
    plan = plan_cells(hydra, declared, arguments)
    todo, waiting = _todo(plan.cells)
    if found := dict.fromkeys((*plan.faults, *faults([cell.config for cell in todo], plan.starts_ranks))):
        raise refusal(list(found))
    every = [cell.config for cell in plan.cells]
    for line in (*twins(every), *ended_alike(every), *needless_seeds(every)) if todo else ():
        log.warning("%s", line)
    if wanted(plan.cells):
        return _until_decided(
            plan.cells,
            report,
            _launcher(hydra) if todo else None,
        )
    if todo and rank() == 0:
        for line in without_data(plan.cells, report.judge):
            log.warning("%s", line)
    launcher = _launcher(hydra) if todo else None
    studies = by_study(plan.cells) if rank() == 0 else {}  # further processes of a cell keep no books
    for folder, cells in studies.items():
        # Before anything runs: a cell that never begins is missing then, not unheard of.
        declare(folder, [cell.identity for cell in cells], cells[0].config)
    launch(launcher, keeping_for_others(ordered(todo)), waiting)
    if plan.cells and plan.cells[0].config.detach:
        return 0  # the jobs are queued; how they end is told by `instruct-ablate status`
    return sum(_summary(folder, cells, report) for folder, cells in studies.items())


def _until_decided(cells: Sequence[Cell], report: Reporter, launcher: Any) -> int:
    """Run the grid in rounds; what it did not come to was never asked for, and is not missing."""
    judge = report.judge()
    rounds = rounds_of(cells, judge)

    def run(own: Sequence[Cell]) -> None:
        declare(rounds.folder, [cell.identity for cell in own], cells[0].config)
        todo, waiting = _todo(own)
        launch(launcher, keeping_for_others(ordered(todo)), waiting)

    taken = run_rounds(rounds, judge, run)
    return _summary(rounds.folder, taken, report)


@dataclass(frozen=True)
class Plan:
    """The distinct cells of a grid, in the order asked for, and what is wrong with others."""

    cells: list[Cell]
    faults: list[str]
    asked: int  # how many were asked for, those that cannot differ from another included
    added: int = 0  # untuned models that the others are compared with
    records: Records = field(default_factory=Records)  # as they were read when it was made
    starts_ranks: bool = False  # its launcher starts a cell's processes itself


def plan_cells(hydra: HydraParts, declared: Declared, arguments: Sequence[str]) -> Plan:
    """Expand and compose a grid, and find out which of its cells are the same."""
    composer = Composer(hydra.context.config_loader, hydra.config)
    for key in [key for grid in (declared.params, *declared.grids) for key in grid]:
        check_name(key)
    asked = expand(
        declared, [for_hydra(line) for line in arguments], composer.is_baseline, hydra.context.config_loader
    )
    check_choices(composer, asked)
    cells: dict[str, Cell] = {}
    found: dict[str, None] = {}
    preflight, contents = Preflight(), Contents()
    for overrides in asked:
        try:
            config = composer.compose(overrides, alone=len(asked) == 1)
            if faults := preflight.of_values(config):
                found |= dict.fromkeys(faults)
                continue
            identity = identify(config, contents=contents)
        except UserError as fault:
            found |= dict.fromkeys(fault.faults if isinstance(fault, UserErrors) else (str(fault),))
        else:
            # Lists whose order changes no result make one cell, which has the hash of how it was written first.
            cells.setdefault(regardless_of_order(identity.counted), Cell(overrides, config, identity))
    if not found and len(cells) < len(asked):
        log.info(
            "%s asked for, %d distinct: the others cannot differ", counted(len(asked), "cell"), len(cells)
        )
    if not found and rank() == 0:
        configs = [cell.config for cell in cells.values()]
        for line in (*unread(configs, arguments, contents), *keyless(configs)):
            log.warning("%s", line)
    distinct, records = len(cells), Records()
    if not hydra.config.hydra.sweeper.single:
        _add_untuned(cells, contents)
    every = named(cells.values(), composer, records)
    return Plan(every, list(found), len(asked), len(cells) - distinct, records, _starts_ranks(hydra))


def _starts_ranks(hydra: HydraParts) -> bool:
    """Whether the launcher can start several processes for one cell (Slurm's tasks)."""
    return launcher_name(hydra.config).startswith("submitit")


def _add_untuned(cells: dict[str, Cell], contents: Contents) -> None:
    """Ask for the untuned model of every trained cell too, so that tables have their point of departure."""
    nothing = BudgetConfig(0)  # one for all, so that they have the same parts
    for cell in list(cells.values()):
        if cell.config.with_untuned and not is_untuned(cell.config):
            config = replace(cell.config, data_budget=nothing)
            identity = identify(config, contents=contents)
            kept = [line for line in cell.overrides if not split(line)[1].startswith("data_budget")]
            same = regardless_of_order(identity.counted)
            cells.setdefault(same, Cell((*kept, "data_budget='0'"), config, identity))


def _todo(cells: Sequence[Cell]) -> tuple[list[Cell], list[Cell]]:
    """Leave out what is done, queued already (or failed, with retry=none), and say so; return the queued ones too."""
    todo, kept, in_queue = [], Counter[str](), queued([cell.folder for cell in cells])
    waiting, to_sync = list[Cell](), Counter[Path]()
    for cell in cells:
        record = read_record(cell.folder, cell.identity.hash)
        if record is not None and record.state in ("done", "other format"):
            kept[record.state] += 1
            further = tuple(_scored_further(cell, record)) if record.state == "done" else ()
            kept.update(further)
            to_sync[study_folder(cell.config)] += further.count("runs")
            kept["no run"] += record.state == "done" and lacks_run(cell.config.logger, cell.folder)
            kept["no curve"] += record.state == "done" and is_without_points(cell.config, cell.folder)
            if record.state == "done" and not is_baseline(cell.config):
                _warn_of_model(cell)
        elif cell.folder in in_queue:
            waiting.append(cell)
        elif record is not None and record.state == "failed" and cell.config.retry == "none":
            kept["failed"] += 1
        else:
            todo.append(cell)
    told = f"{kept['done']} done and skipped"
    told += f" ({kept['scored']} of them scored again)" if kept["scored"] else ""
    told += f", {kept['other format']} of another format and left alone" if kept["other format"] else ""
    told += f", {len(waiting)} queued already" if waiting else ""
    told += f", {kept['failed']} failed and kept (retry=none)" if kept["failed"] else ""
    if cells:  # of a grid that is refused whole there is nothing to count
        log.info("%s: %s, %d to run", counted(len(cells), "cell"), told, len(todo))
    if kept["runs"]:
        leave_service()  # cells begin without it
    for study, runs in to_sync.items():
        if runs:
            log.info("%s", waiting_runs(runs, study))
    if kept["no run"]:
        log.warning("%d of them: %s", kept["no run"], WITHOUT_RUN)
    if kept["no curve"]:
        log.warning("%d of them: %s", kept["no curve"], WITHOUT_POINTS)
    return todo, waiting


def _scored_further(cell: Cell, record: CellRecord) -> Iterator[str]:
    """Score a done cell by the metrics that it is asked for now, from its saved predictions; yield what to count."""
    metrics = selected(cell.config)
    if not is_behind(record, metrics):
        return
    result = rescore_cell(cell.folder, metrics)
    if result.left:
        log.warning("%s: not scored again: %s", cell.identity.name, result.left)
        return
    yield "scored"
    if result.mirrored:
        yield "runs"


def _warn_of_model(cell: Cell) -> None:
    """Say which metrics a done cell cannot be scored by any more: only its model could tell."""
    metrics = selected(cell.config)
    record = read_record(cell.folder, cell.identity.hash) if reading_model(metrics.load()) else None
    if record is not None and (names := lacks_model(record, metrics)):
        log.warning("%s: %s", cell.identity.name, model_needed(names))


def _launcher(hydra: HydraParts) -> Any:
    return make_launcher(hydra.context, hydra.task_function, hydra.config)


def _summary(folder: Path, cells: Sequence[Cell], report: Reporter) -> int:
    """Print what became of the study's cells; return how many of those asked for are not done."""
    records = [_current(cell) for cell in cells]
    report.summary(folder)
    if lost := [note for record in records for note in record.notes if LOST in note]:
        echo(f"{counted(len(lost), 'cell')} {are(len(lost))} not in the logger: {lost[0]}", err=True)
    open_ = [record for record in records if record.state != "done"]
    for record in open_:
        reason = record.failure.reason if record.failure else ""
        reason = record.notes[0] if record.state == "unreadable" else reason
        echo(f"{record.state}: {record.name}{': ' + reason if reason else ''}", err=True)
    if open_:
        told = f"{len(open_)} of {counted(len(records), 'cell')} {are(len(open_))} not done"
        echo(f"{told}; {_advice(open_, {cell.config.retry for cell in cells} == {'none'})}.", err=True)
    elif cells[0].config.report.at_end:
        report.close(folder)
    else:
        echo(f"Statistics, figures and a page: instruct-ablate report {shlex.quote(str(folder))}")
    return len(open_)


def _advice(open_: Sequence[CellRecord], kept: bool) -> str:
    """Say what to do about cells that are not done; `kept`: those that failed are not tried again (`retry=none`).

    What failed by its input, a setting or code fails so again: the same command alone helps none of these.
    """
    failed = [record for record in open_ if record.state == "failed"]
    lasting = sum(record.failure is not None and record.failure.lasting for record in failed)
    ways = ["run the same command again"] if len(open_) > (len(failed) if kept else lasting) else []
    if lasting:
        those = f"{lasting} of them" if lasting < len(open_) else ("it" if lasting == 1 else "they")
        says = "the line above says" if lasting == 1 else "the lines above say"
        ways.append(f"{those} would fail so again: first do what {says}")
    if kept and failed:
        ways.append("retry=none keeps what failed: leave it out to try again")
    return "; ".join(ways)


def _current(cell: Cell) -> CellRecord:
    if (record := read_record(cell.folder, cell.identity.hash)) is not None:
        return record
    fault, missing = record_fault(cell.folder), missing_record(cell.identity)
    return missing if fault is None else replace(missing, state="unreadable", notes=(fault,))
