"""`python -m benchmarks`: every benchmark in turn, each against what a user would run instead.

Each prints its table and writes JSON to benchmarks/results/. Real prompts are used where ../shared is at hand.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"
SHARED = HERE.parents[1] / "shared" / "predictions" / "alpaca_llama7b.jsonl"


def commands() -> list[list[str]]:
    """Return the benchmarks that can run here."""
    found = [["evaluation", "--json", str(RESULTS / "evaluation.json")], ["grid"]]
    if SHARED.exists():
        found.append(["scoring", str(SHARED), "--json", str(RESULTS / "scoring.json")])
    if (HERE / "training.py").exists():
        found.insert(0, ["training", "--json", str(RESULTS / "training.json")])
    return found


if __name__ == "__main__":
    RESULTS.mkdir(exist_ok=True)
    failed = []
    for name, *options in commands():
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, str(HERE / f"{name}.py"), *options], check=False).returncode:
            failed.append(name)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
