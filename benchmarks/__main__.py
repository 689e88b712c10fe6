"""`python -m benchmarks [NAME ...]`: every benchmark in turn, each against what a user would run instead.

Each prints its table and writes JSON to benchmarks/results/. Real prompts are used where ../shared is at hand.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"
SHARED = HERE.parents[1] / "shared"
PREDICTIONS = SHARED / "predictions" / "alpaca_llama7b.jsonl"
REAL_TASKS = SHARED / "natural-instructions"


def commands() -> dict[str, list[str]]:
    """Return the benchmarks that can run here, with their options."""
    real = ["--root", str(REAL_TASKS)] if REAL_TASKS.is_dir() else []
    found = {"training": real, "evaluation": real, "data": [], "cells": real}
    found |= {"scoring": [str(PREDICTIONS)]} if PREDICTIONS.exists() else {}
    written = {name: [*options, "--json", str(RESULTS / f"{name}.json")] for name, options in found.items()}
    return {**written, "grid": [], "studies": ["--json", str(RESULTS / "studies.json")]}


def main(chosen: list[str]) -> None:
    """Run those chosen, or all."""
    known = commands()
    if unknown := set(chosen) - known.keys():
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    RESULTS.mkdir(exist_ok=True)
    failed = []
    for name in chosen or known:
        print(f"\n== {name}", flush=True)
        command = [sys.executable, str(HERE / f"{name}.py"), *known[name]]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
