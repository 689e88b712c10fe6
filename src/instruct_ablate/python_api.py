"""`import instruct_ablate as ia`: compose a cell, run a grid, load a study, from a notebook or a script."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from instruct_ablate.errors import UserError
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.grid.composing.overrides import is_sweep
from instruct_ablate.report.frames import StudyFrames
from instruct_ablate.schema import Config
from instruct_ablate.terminal import echo

MISTAKE = 2  # exit status of a user's mistake


def load_study(folder: str | Path) -> StudyFrames:
    """Read the study at `folder`, such as multirun/ablation, finished or not; nothing is written."""
    return StudyFrames(Path(folder))


def compose(*overrides: str) -> Config:
    """Return the checked configuration of one cell: `ia.compose("instruction=simplified", "seed=1")`."""
    return compose_config(overrides)


def run(*overrides: str) -> StudyFrames:
    """Run a cell, or a grid where an override names several values, and load its study.

    It runs in a process of its own, exactly as `instruct-ablate train` does; cells that fail are in `.cells`.
    """
    single = [word for word in overrides if not is_sweep(word)]
    if any(word.startswith(("study=", "output=")) for word in overrides if word not in single):
        raise UserError("study and output take one value here: one call runs one study")
    config = compose_config(single)
    many = ["-m"] if len(single) < len(overrides) else []
    command = [sys.executable, "-m", "instruct_ablate", "train", *many, *overrides]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == MISTAKE:
        raise UserError(done.stderr.strip().removeprefix("error: "))
    if done.returncode not in (0, 1):  # 1: some cells are not done, which the study says
        raise RuntimeError(f"exit status {done.returncode}: {done.stderr.strip()}")
    if said := done.stderr.rstrip():
        echo(said, err=True)
    return load_study(Path(config.output) / config.study)
