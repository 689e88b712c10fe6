"""Sequential: what `until=decided` lets through falsely, how often it says what the whole grid says, what it saves.

    python -m benchmarks.sequential [--runs 10000] [--json FILE]

Simulated studies whose truth is known, looked at after 2, 3, ... of the planned seeds by the very levels and outlook of
verdicts: eight worlds for false decisions (claims at the edge, one place and six that share their reference, stopping
at the first crossing); for savings the worlds typical, quiet and seedy, claims that hold by 5, 8 and 12 standard
errors of the whole grid, 5, 8 and 10 seeds, 12 and 57 tasks; and beside them weak claims and seeds alone. For few tasks
and narrow margins: how often a verdict of "equals" that came early is the one that all seeds give.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
from tests.report.statistics.sequences import (
    QUIET,
    SEEDS_ALONE,
    SEEDY,
    SIZES,
    TYPICAL,
    Outcome,
    Plan,
    false_decisions,
    run,
)
from tests.report.statistics.test_spending import WORLDS
from tests.report.statistics.worlds import World

SEEDS, TASKS = (5, 8, 10), (12, 57)
FEW, BANDS = (3, 6, 12), (0.0, 0.5, 0.8, 0.95, 1.01)  # tasks; the whole grid's power
NARROW = ((2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (8, 0), (6, 0.5), (12, 0.5), (6, 0.8), (12, 0.8))


def level_rows(runs: int) -> Iterable[dict[str, float]]:
    """Yield the greatest rates of false decisions over worlds, by seeds, tasks and places."""
    for seeds in (5, 8):
        for tasks in TASKS:
            for places in (1, 6):
                generator = np.random.default_rng(seeds * tasks + places)
                rates = [false_decisions(Plan(w, seeds, tasks), places, runs, generator) for w in WORLDS]
                exceeds, equal = np.max(rates, axis=0)
                yield {
                    "seeds": seeds, "tasks": tasks, "places": places,
                    "exceeds": float(exceeds), "equal": float(equal), "mean": float(np.mean(rates)),
                }  # fmt: skip


def saving_rows(runs: int) -> Iterable[dict[str, object]]:
    """Yield agreement and saving by world and size of the claims, over tasks and both verbs."""
    parts = {"typical": TYPICAL, "quiet": QUIET, "seedy": SEEDY, "seeds alone": SEEDS_ALONE}
    for seeds in SEEDS:
        for name, world in parts.items():
            for size in (2, 3, 4, 5, 8, 12):
                generator = np.random.default_rng(seeds + size)
                plans = [Plan(world, seeds, tasks) for tasks in TASKS]
                found = [run(plan, claim, runs, generator) for plan in plans for claim in plan.claims(size)]
                mixed = name != "seeds alone" and size in SIZES
                yield {"seeds": seeds, "world": name, "size": size, "in_mix": mixed, **_sums(found)}


def early_rows(runs: int) -> Iterable[dict[str, float]]:
    """Yield what "equals" comes to by tasks and the whole grid's power, over worlds, margins and truths."""
    for tasks in FEW:
        generator, found = np.random.default_rng(tasks), []
        for world in (TYPICAL, SEEDY, SEEDS_ALONE, World(2, 0, 3)):
            plan = Plan(world, 5, tasks)
            for size, truth in NARROW:
                margin = size * plan.error
                found.append(run(plan, ("equals", margin, truth * margin), runs, generator))
        for low, high in pairwise(BANDS):
            own = [one for one in found if low <= one.power < high]
            if own:
                yield {"tasks": tasks, "power": low, "claims": len(own), **_early(own)}


def _early(found: list[Outcome]) -> dict[str, float]:
    """Sum up early verdicts: how many there are, and how many of them all seeds give too."""
    whole, stopped, seeds = (
        np.concatenate([getattr(one, name) for one in found]) for name in ("whole", "stopped", "seeds")
    )
    early = seeds < found[0].planned
    rows = {"agreement": float(np.mean(whole == stopped)), "least": min(one.agreement for one in found)}
    for name, answer in (("supported", 1), ("undecided", 0)):
        those = early & (stopped == answer)
        rows |= {
            f"early_{name}": float(those.mean()),
            f"kept_{name}": float((whole[those] == answer).mean()) if those.any() else 1.0,
        }
    return rows


def _sums(found: list[Outcome]) -> dict[str, float]:
    return {
        "power": min(one.power for one in found),
        "agreement": float(np.mean([one.agreement for one in found])),
        "least_agreement": min(one.agreement for one in found),
        "saved": float(np.mean([one.saved for one in found])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    levels, savings = list(level_rows(options.runs)), list(saving_rows(options.runs))
    early = list(early_rows(options.runs))
    for row in (*levels, *savings, *early):
        print("  ".join(f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
    for seeds in SEEDS:
        own = [row for row in savings if row["seeds"] == seeds and row["in_mix"]]
        agreement, saved = (np.mean([float(str(row[key])) for row in own]) for key in ("agreement", "saved"))
        least = min(float(str(row["least_agreement"])) for row in own)
        print(f"mix, {seeds} seeds: agreement {agreement:.3f} (least {least:.3f}), saved {saved:.3f}")
    if options.json:
        options.json.write_text(json.dumps({"levels": levels, "savings": savings, "early": early}, indent=1))


if __name__ == "__main__":
    main()
