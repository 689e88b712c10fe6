"""A small real study that stops when it is decided, interrupted between two looks and begun again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from instruct_ablate.grid.history.looks import LOOKS, Decision, read_looks, saved
from tests.grid.small import TASKS, outcome, start, sweep

CLAIM = "original equals untuned on reference_log_likelihood within 0.2"
# Open after two seeds, for these lie on either side of it: there is a look to be interrupted after.
SEQUENTIAL = (
    *TASKS, "tasks.test_instances=2", "data_budget=1", "seed=0,1,2,3,4", "until=decided", "trainer.learning_rate=0.01",
    "evaluation.metrics=[reference_log_likelihood]", f"hypotheses=['{CLAIM}']",
)  # fmt: skip


def looks(folder: Path) -> list[tuple[int, int, tuple[Decision, ...]]]:
    """Return what each look of the study rests on and found: seeds, cells, decisions."""
    taken = read_looks(folder / "multirun" / "ablation")
    assert not taken.faults
    return [(look.done, look.cells, look.decisions) for look in taken.taken]


def run_whole(folder: Path) -> None:
    """Run the study on the basic launcher, to its end."""
    run = sweep(folder, *SEQUENTIAL)
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(looks(folder)) > 1, "nothing to interrupt: the study was decided at its first look"


def check_interrupted(folder: Path, whole: Path, *launcher: str) -> None:
    """Run it on a launcher, interrupt it after its first look, begin again, and compare it with the whole one."""
    said = _interrupt(start(folder, *SEQUENTIAL, *launcher), folder / "multirun" / "ablation" / LOOKS)
    assert looks(folder) == looks(whole)[:1], said
    first = (folder / "multirun" / "ablation" / LOOKS).read_bytes()
    again = sweep(folder, *SEQUENTIAL, *launcher)
    assert again.returncode == 0, again.stdout + again.stderr
    assert (folder / "multirun" / "ablation" / LOOKS).read_bytes().startswith(first)
    assert looks(folder) == looks(whole)
    assert outcome(folder) == outcome(whole)
    second = (folder / "multirun" / "ablation" / LOOKS).read_bytes()
    third = sweep(folder, *SEQUENTIAL, *launcher)
    last = read_looks(folder / "multirun" / "ablation").taken[-1]
    assert saved(last, last.cells) in third.stdout
    assert (folder / "multirun" / "ablation" / LOOKS).read_bytes() == second, (
        "a decided study was looked at again"
    )
    assert outcome(folder) == outcome(whole)


def _interrupt(process: subprocess.Popen[str], file: Path, seconds: float = 300.0) -> str:
    """Press Ctrl-C once a file is there, and return what the command said."""
    end = time.monotonic() + seconds
    while not file.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()[0]
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=300)[0]
    assert process.returncode != 0, said
    return said
