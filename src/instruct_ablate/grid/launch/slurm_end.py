"""How a Slurm job ended that said nothing itself: as Slurm tells, and as its output does."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from instruct_ablate.disk.whole_files import opened_plain
from instruct_ablate.grid.launch.slurm_queue import Ticket

TAIL = 1 << 14  # bytes of a job's output that are looked at
OUT_OF_MEMORY = "killed: out of memory: raise hydra.launcher.mem_gb or lower trainer.micro_batch_tokens"
_MEMORY = re.compile(
    rb"exceeded (?:job )?memory limit|oom[-_ ]kill|out[ _-]of[ _-]memory handler", re.IGNORECASE
)
_SAID = {
    "OUT_OF_MEMORY": OUT_OF_MEMORY,
    "TIMEOUT": "killed at its time limit: raise hydra.launcher.timeout_min or hydra.launcher.signal_delay_s",
    "DEADLINE": "killed at its deadline",
    "CANCELLED": "cancelled",
    "NODE_FAIL": "its node failed",
    "BOOT_FAIL": "its node did not start",
    "PREEMPTED": "pre-empted and not queued again",
}


def how_it_ended(ticket: Ticket) -> str:
    """Say why the job of a cell is over, in one line with where its output is."""
    output = f"; its output is in {ticket.output}" if ticket.output else ""
    state, signal = _told(ticket) if ticket.cluster == "slurm" else ("", 0)
    if said := (OUT_OF_MEMORY if out_of_memory(ticket) else _SAID.get(state)):
        return f"{said} (job {ticket.job}{output})"
    if signal:
        return f"job {ticket.job} was killed by signal {signal}{output}"
    return f"job {ticket.job} ended without a word{output}"


def out_of_memory(ticket: Ticket) -> bool:
    """Tell whether a job's own output says that it took more memory than it was given."""
    try:
        # The ticket is data of the study and can name anything: a pipe would wait for ever, a link lead elsewhere.
        with opened_plain(Path(ticket.output)) as file:
            file.seek(-min(TAIL, os.fstat(file.fileno()).st_size), os.SEEK_END)
            return _MEMORY.search(file.read()) is not None
    except (OSError, ValueError):
        return False


def _told(ticket: Ticket) -> tuple[str, int]:
    """Return a job's last state and the signal that ended it, while Slurm remembers it (some minutes)."""
    # The id comes from a file of the study: scontrol must not take it for an option.
    if re.fullmatch(r"[0-9]+(_[0-9]+)?", ticket.job) is None:
        return "", 0
    words = ["scontrol", "--oneliner", "show", "job", ticket.job]
    try:
        told = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, ValueError, subprocess.SubprocessError):
        return "", 0
    fields = dict(word.split("=", 1) for word in told.split() if "=" in word)
    status, _, signal = fields.get("ExitCode", "0:0").partition(":")
    killed = int(signal) if signal.isdecimal() else 0
    if not killed and status.isdecimal() and int(status) > 128:  # as a shell tells it
        killed = int(status) - 128
    return fields.get("JobState", ""), killed
