"""Runs that W&B has yet to get: the transaction logs of offline cells, and their upload by `wandb sync`."""

from __future__ import annotations

import http.client
import logging
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from instruct_ablate.cell.mirror.wandb_run import server_address
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.errors import in_a_line

ATTEMPTS = 4
PAUSE = 15.0  # seconds before a second attempt; each further one waits twice as long
AT_ONCE = 100  # logs handed to one `wandb sync`
ANSWER = 10.0  # seconds within which a server that can be reached answers

logger = logging.getLogger(__name__)

Upload = Callable[[Sequence[Path], int], str]


@dataclass(frozen=True, slots=True)
class OfflineRun:
    """One transaction log of a cell; a cell that was interrupted has several, of one run."""

    cell: str
    log: Path
    state: str  # of the cell

    @property
    def uploaded(self) -> bool:
        """Whether `wandb sync` has marked it as uploaded."""
        return self.log.with_name(f"{self.log.name}.synced").exists()

    @property
    def finished(self) -> bool:
        """Whether nothing will be added to it by this cell."""
        return self.state in ("done", "failed")


@dataclass(frozen=True, slots=True)
class Synced:
    """What became of the runs of a study."""

    uploaded: tuple[OfflineRun, ...]
    left: tuple[tuple[OfflineRun, str], ...]  # with the reason


def offline_runs(study: Path) -> tuple[OfflineRun, ...]:
    """Return a study's offline logs, each cell's in the order of time."""
    found = []
    for log in sorted(study.glob("*/wandb/offline-run-*/*.wandb")):
        folder = log.parents[2]
        record = read_record(folder)
        # the report's own run has a folder without a record, and is whole when it is there
        state = (
            record.state if record else "done" if not os.path.lexists(folder / "identity.json") else "missing"
        )
        found.append(OfflineRun(folder.name, log, state))
    return tuple(found)


def overtaken(runs: Sequence[OfflineRun]) -> tuple[Path, ...]:
    """Return the cells of which a log waits that is older than what W&B was told online: it would put that back.

    So it is where a first try could not reach the server and a later one did.
    """
    waiting = [run for run in runs if run.finished and not run.uploaded]
    found: dict[Path, str] = {}  # the last log of a cell that waits
    for run in waiting:
        found[run.log.parents[1]] = max(
            found.get(run.log.parents[1], ""), _begun(run.log.parent, "offline-run-")
        )
    return tuple(
        logs.parent
        for logs, last in found.items()
        if any(_begun(online, "run-") > last for online in logs.glob("run-*"))
    )


def _begun(log: Path, kind: str) -> str:
    """Return when a log was begun, as its folder's name has it: 20260131_235959."""
    return log.name.removeprefix(kind)[:15]


def sync_runs(
    runs: Sequence[OfflineRun],
    workers: int,
    upload: Upload | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Synced:
    """Upload what is finished and not yet uploaded; what fails is tried again, later and later.

    `wandb sync` takes one run's logs in order, several runs at once, keeps W&B's rate limits, and marks each log that
    is through: a second call goes on where the first one stopped.
    """
    wanted = [run for run in runs if run.finished and not run.uploaded]
    left, why = wanted, ""
    for attempt in range(ATTEMPTS):
        if attempt and left:
            pause(PAUSE * 2 ** (attempt - 1))
        for start in range(0, len(left), AT_ONCE):
            some = [run.log for run in left[start : start + AT_ONCE]]
            why = (upload or wandb_sync)(some, workers) or why
        left = [run for run in left if not run.uploaded]
    open_ = [(run, f"its cell is {run.state}") for run in runs if not run.finished and not run.uploaded]
    uploaded = tuple(run for run in wanted if run.uploaded)
    return Synced(uploaded, tuple([(run, why or "wandb sync left it") for run in left] + open_))


def _no_answer() -> str:
    """Return why W&B's server cannot be reached, or nothing: `wandb sync` tries for longer than a night, unheard."""
    try:
        with urllib.request.urlopen(server_address(), timeout=ANSWER):
            return ""
    except urllib.error.HTTPError:
        return ""  # an answer
    except (OSError, ValueError, http.client.HTTPException) as error:
        return in_a_line(error)


def wandb_sync(logs: Sequence[Path], workers: int) -> str:
    """Upload logs by `wandb sync`; return its last words where it failed."""
    if why := _no_answer():
        logger.warning(
            "no answer from %s (%s). W&B tries on until there is one; Ctrl-C ends that, and the same command goes on",
            server_address(),
            why,
        )
    command = [sys.executable, "-m", "wandb", "sync", "-n", str(workers), *map(str, logs)]
    # With nothing to read from: nobody is asked for a key.
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    told = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    faults = [line for line in told if "ERROR" in line or "error" in line.lower()]
    return "" if done.returncode == 0 and not faults else (faults or told or ["no word from wandb sync"])[-1]
