"""One cell from configuration to record: locked, alive, resumable; a fault ends in its record."""

from __future__ import annotations

import contextlib
import logging
import shutil
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from instruct_ablate.cell.mirror.loggers import guarded
from instruct_ablate.cell.mirror.mirror import open_mirror
from instruct_ablate.cell.run.job import Job, Outcome, Work
from instruct_ablate.cell.run.points import WITHOUT_POINTS, is_without_points
from instruct_ablate.cell.run.ranks import follow
from instruct_ablate.cell.run.reuse import take_over
from instruct_ablate.cell.run.stopping import TimedOutError, interruptible, time_limit
from instruct_ablate.cell.state.canonical import effective
from instruct_ablate.cell.state.former import as_stored
from instruct_ablate.cell.state.heartbeat import Heartbeat, this_process
from instruct_ablate.cell.state.identity import Identity, identify
from instruct_ablate.cell.state.lock import LockedError, locked
from instruct_ablate.cell.state.record.record import CellRecord, Failure
from instruct_ablate.cell.state.store import (
    find_folder,
    forbidden,
    missing_record,
    now,
    quarantine,
    read_record,
    write_record,
)
from instruct_ablate.cell.state.stored_config import describe
from instruct_ablate.disk.fence import inside_fence
from instruct_ablate.disk.whole_files import follow_mode, make_way
from instruct_ablate.errors import BrokenInvariantError, Interrupted, UserError, is_lasting, with_kind
from instruct_ablate.process.processes import rank
from instruct_ablate.process.turns import own_lines
from instruct_ablate.schema import Config
from instruct_ablate.terminal import Formatter

log = logging.getLogger(__name__)
TRACES = logging.getLogger(f"{__name__}.traces")  # for the cell's log file alone
TRACES.propagate = False
TRACES.addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell whose lock this process holds."""

    identity: Identity
    folder: Path
    heartbeat: Heartbeat


def run_cell(config: Config, work: Work | None = None) -> CellRecord:
    """Run the cell that `config` asks for and return its record; a done cell is returned as it is.

    `work` does the training and testing; it stands apart so that all around it can be tested by itself.
    """
    study = Path(config.output) / config.study
    identity = as_stored(study, identify(config))
    # One lock for all processes of a cell, which the first one has.
    if rank() > 0:
        return _follow(config, identity, study, work or _work)
    folder = find_folder(study, identity)
    identity = replace(identity, name=folder.name)
    try:
        with locked(folder) as heartbeat:
            return _run_locked(config, Cell(identity, folder, heartbeat), work or _work)
    except LockedError as busy:
        log.warning("%s", busy)
        return read_record(folder, identity.hash) or missing_record(identity)


def _follow(config: Config, identity: Identity, study: Path, work: Work) -> CellRecord:
    """Train along with the first process of this cell."""

    def along(folder: Path) -> None:
        own = replace(identity, name=folder.name)
        _along(Job(effective(config), own, folder, Heartbeat(folder, this_process()), leads=False), work)

    return follow(lambda: find_folder(study, identity), identity.hash, along)


def _along(job: Job, work: Work) -> None:
    try:
        work(job)
    except Interrupted as stop:
        log.warning("%s interrupted: %s", job.identity.name, stop)


def _work(job: Job) -> Outcome:
    from instruct_ablate.cell.run.stages import work

    return work(job)


def _run_locked(config: Config, cell: Cell, work: Work) -> CellRecord:
    identity, folder = cell.identity, cell.folder
    if (fault := forbidden(folder)) is not None:  # another user's; it may well be done
        log.error("%s: %s; it is left as it is", identity.name, fault)
        return replace(missing_record(identity), state="unreadable", notes=(fault,))
    aside = quarantine(folder, identity.hash)
    before = read_record(folder, identity.hash)
    if before is not None and before.state == "other format":
        log.error("%s: %s; it is left as it is", identity.name, "; ".join(before.notes))
        return before
    if before is not None and before.state == "done":
        log.info("%s is done already", identity.name)
        if is_without_points(config, folder):
            log.warning("%s: %s", identity.name, WITHOUT_POINTS)
        return before
    if before is None and (taken := take_over(config, identity, folder)) is not None:
        return taken
    running = _begin(config, identity, folder, before)
    with _logged(folder):
        if aside is not None:
            log.warning("%s: the record could not be read and was put aside as %s", identity.name, aside.name)
        lost: list[str] = []
        mirror = open_mirror(config, identity, folder, lost)
        job = Job(effective(config), identity, folder, cell.heartbeat, mirror)
        record = _finish(folder, _guarded(job, running, work, config.cell_timeout))
        # After the record is on the disk, so that nothing a logging service does can cost it.
        with guarded(f"logger {config.logger.name}", lost):
            mirror.finish(record)
        if lost:
            record = _finish(folder, replace(record, notes=(*record.notes, *lost)))
    # After the final record alone: a cell that is killed before goes on from them.
    if record.state == "done" and not config.keep_checkpoints:
        with inside_fence(folder):
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # they were for resuming alone
    return record


def _begin(config: Config, identity: Identity, folder: Path, before: CellRecord | None) -> CellRecord:
    """Write down that the cell runs, with what it was asked for."""
    describe(folder, config, identity)
    # Kept while the cell runs: the next failure counts its attempts on.
    failure = before.failure if before else None
    running = replace(missing_record(identity), state="running", started=now(), failure=failure)
    write_record(folder, running)
    return running


def _guarded(job: Job, running: CellRecord, work: Work, hours: float | None) -> CellRecord:
    """Do the work and return the record of how it ended; only a stop from outside is raised further."""

    def hung(reason: str) -> None:
        write_record(job.folder, _failed(running, reason))

    try:
        with interruptible(), time_limit(hours, hung):
            outcome = work(job)
    except Interrupted as stop:
        log.warning("%s interrupted: %s", running.name, stop)
        return replace(running, state="interrupted", notes=(str(stop),), finished=now())
    except (KeyboardInterrupt, SystemExit):
        _finish(job.folder, replace(running, state="interrupted", finished=now()))
        raise
    except LockedError:
        raise  # another process has the cell: its record is not ours to write
    except (UserError, TimedOutError, BrokenInvariantError) as error:
        return _failed(running, str(error), lasting=is_lasting(error))
    except Exception as error:
        reason = with_kind(error)
        failed = _failed(running, reason, traceback.format_exc(), is_lasting(error))
        if job.config.raise_faults:
            _finish(job.folder, failed)
            raise
        return failed
    return _done(running, outcome)


def _done(running: CellRecord, outcome: Outcome) -> CellRecord:
    return replace(
        running,
        state="done",
        blocks=outcome.blocks,
        cost=outcome.cost,
        environment=outcome.environment,
        notes=outcome.notes,
        failure=None,
        selected=outcome.selected,
        general=outcome.general,
        drawn=outcome.drawn,
        finished=now(),
    )


def _failed(running: CellRecord, reason: str, trace: str = "", lasting: bool = False) -> CellRecord:
    attempts = running.failure.attempts + 1 if running.failure else 1
    log.error("%s failed: %s", running.name, reason)
    if trace:
        TRACES.error("%s", trace.rstrip())
    return replace(running, state="failed", failure=Failure(reason, trace, attempts, lasting), finished=now())


def _finish(folder: Path, record: CellRecord) -> CellRecord:
    """Write the final record; where even that fails the cell stays open and is run again."""
    try:
        write_record(folder, record)
    except UserError as error:
        log.error("%s: its record could not be written: %s", record.name, error)
        return _failed(replace(record, blocks=(), general=None), str(error))
    return record


@contextlib.contextmanager
def _logged(folder: Path) -> Iterator[None]:
    """Keep what is logged in the cell's own file too."""
    try:
        # A logging handler would follow a link, or wait for a pipe, that lies there.
        make_way(folder / "log.txt")
        handler = logging.FileHandler(folder / "log.txt", encoding="utf-8")
        follow_mode(folder / "log.txt")
    except OSError as error:
        raise UserError(f"cannot write {folder / 'log.txt'}: {error.strerror}") from error
    handler.addFilter(own_lines())
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(message)s"))
    told = (logging.getLogger(), TRACES)
    for logger in told:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in told:
            logger.removeHandler(handler)
        handler.close()
