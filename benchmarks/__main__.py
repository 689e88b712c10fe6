"""`python -m benchmarks [NAME ...] [--OPTION ...]`: every benchmark in turn, against what a user would run.

Each prints its table and writes JSON to benchmarks/results/. Real prompts are used where ../shared is at hand.
Options are handed on. `fused` (cells in joined steps), `gpu` (what a GPU must show), `hundred` (LoRA cells,
extrapolated), `limits` (shares of what is attainable) and `shared` (steps that share beginnings) run where they are
named only.
"""

import itertools
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"
SHARED = HERE.parents[1] / "shared"
PREDICTIONS = SHARED / "predictions" / "alpaca_llama7b.jsonl"
HELP = {"-h", "--help"}
REAL_TASKS = SHARED / "natural-instructions"


def commands() -> dict[str, list[str]]:
    """Return the benchmarks that can run here, with their options."""
    real = ["--root", str(REAL_TASKS)] if REAL_TASKS.is_dir() else []
    found = {
        "training": real,
        "evaluation": real,
        "data": [],
        "cells": real,
        "families": [],
        "vocabulary": [],
    }
    found |= {"scoring": [str(PREDICTIONS)]} if PREDICTIONS.exists() else {}
    written = {name: [*options, "--json", str(RESULTS / f"{name}.json")] for name, options in found.items()}
    return {**written, "grid": [], "studies": ["--json", str(RESULTS / "studies.json")]}


def named_only() -> dict[str, list[str]]:
    """Return the benchmarks that run where they are asked for by name."""
    real = ["--root", str(REAL_TASKS)] if REAL_TASKS.is_dir() else []
    return {
        "fused": ["--json", str(RESULTS / "fused.json")],
        "gpu": ["--json", str(RESULTS / "gpu.json")],
        "hundred": [*real, "--json", str(RESULTS / "hundred.json")],
        "limits": [*real, "--json", str(RESULTS / "limits.json")],
        "shared": [*real, "--json", str(RESULTS / "shared.json")],
    }


def main(words: list[str]) -> None:
    """Run those chosen, or all."""
    chosen = list(itertools.takewhile(lambda word: not word.startswith("-"), words))
    known = {**commands(), **named_only()}
    if not chosen and HELP & set(words):
        print(
            __doc__,
            f"There are: {', '.join(known)}. `python -m benchmarks NAME --help` has one's options.",
            sep="\n",
        )
        return
    if unknown := set(chosen) - known.keys():
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    RESULTS.mkdir(exist_ok=True)
    failed = []
    for name in chosen or commands():
        print(f"\n== {name}", flush=True)
        command = [sys.executable, str(HERE / f"{name}.py"), *known[name], *words[len(chosen) :]]
        if subprocess.run(command, check=False, env=environment()).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def environment() -> dict[str, str]:
    """Let benchmarks find each other and this package, installed or not."""
    paths = [str(HERE.parent), str(HERE.parent / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
    except (
        BrokenPipeError
    ):  # whoever read our words has gone; Python's own last flush would meet the pipe again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
