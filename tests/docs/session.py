"""A process that runs the guide's commands one after another in one folder, so that torch is imported once.

Usage: python session.py STEPS.json ENDS.json. A step is [kind, text]: `shell`, `python`, `train` or `instruct-ablate`,
the latter two as this process; how each ended is
[status, output, seconds of processor time], written after every step.
"""

from __future__ import annotations

import json
import os
import runpy
import shlex
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path


def act(kind: str, text: str) -> int:
    """Run one step and return its exit status."""
    if kind == "shell":
        return subprocess.run(["bash", "-euc", text], check=False).returncode
    try:
        if kind == "python":
            exec(compile(text, "<page>", "exec"), {"__name__": "__main__"})
            return 0
        words = [_cell(word) for word in shlex.split(text)]
        sys.argv = ["train.py", *words] if kind == "train" else [kind, *words]
        if kind == "train":
            runpy.run_path("train.py", run_name="__main__")
        else:
            runpy.run_module("instruct_ablate", run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        traceback.print_exc()
        return 70
    return 0


def _cell(word: str) -> str:
    """Put a cell of the study in the place of CELL."""
    study, is_cell, _ = word.partition("/CELL")
    return str(min(Path(study).glob("*/record.json")).parent) if is_cell else word


def captured(kind: str, text: str) -> tuple[int, str, float]:
    """Run one step with all that it and its children print in a file."""
    before = sum(os.times()[:4])
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        try:
            status = act(kind, text)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            os.close(kept[0])
            os.close(kept[1])
        said.seek(0)
        return status, said.read(), sum(os.times()[:4]) - before


def main(steps: Path, ends: Path) -> None:
    """Run all steps."""
    home = Path.cwd()
    ended = []
    for kind, text in json.loads(steps.read_text(encoding="utf-8")):
        ended.append(captured(kind, text))
        os.chdir(home)
        part = ends.with_suffix(".part")  # whoever waits for a step reads the file meanwhile
        part.write_text(json.dumps(ended), encoding="utf-8")
        part.replace(ends)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
