"""Coverage: how often the 95 % interval of a mean difference holds the truth, beside evalstats' on the same studies.

    python -m benchmarks.coverage [--runs 200] [--json FILE]

Simulated studies of seeds x tasks x instances whose truth is known. evalstats (https://pypi.org/project/evalstats/,
not installed with this project: `pip install evalstats`) is asked in its own words for the same difference, with its
defaults: tasks as its inputs and seeds as its runs, and, as it is often used, every test instance as an input. Where it
is not installed its columns stay empty.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from tests.report.statistics.worlds import World

from instruct_ablate.report.statistics.variance.components import Matrix, mean_squares
from instruct_ablate.report.statistics.variance.error import Floor, error_of

WORLDS = {
    "typical (1.5, 4, 3)": World(1.5, 4, 3, 30),
    "tasks alone (0, 4, 0)": World(0, 4, 0, 30),
    "seeds alone (2, 0, 0)": World(2, 0, 0, 30),
    "rest alone (0, 0, 3)": World(0, 0, 3, 30),
}
SEEDS, TASKS, INSTANCES = (2, 3, 5), (12, 57), 20
Draw = Matrix  # [seeds, tasks, instances]
Interval = tuple[float, float]


def draw(world: World, seeds: int, tasks: int, generator: np.random.Generator) -> Draw:
    """Draw the differences of one study around zero; all seeds are tested on the same instances."""
    parts = generator.normal(0, world.seed, (seeds, 1)) + generator.normal(0, world.task, (1, tasks))
    parts = parts + generator.normal(0, world.rest, (seeds, tasks))
    return np.asarray(parts[..., None] + generator.normal(0, world.instance, (1, tasks, INSTANCES)))


def ours(study: Draw) -> Interval:
    """The interval of reports and verdicts."""
    matrix, freedom = study.mean(axis=-1), study.shape[1] * (study.shape[2] - 1)
    noise = study.mean(axis=0).var(axis=-1, ddof=1).mean() / study.shape[2]
    squares = mean_squares(matrix)
    half = float(error_of(squares, Floor(noise / study.shape[1], freedom)).half_width(0.05))
    return float(squares.mean) - half, float(squares.mean) + half


def theirs() -> dict[str, Callable[[Draw], Interval]]:
    """Return evalstats' intervals, by what its inputs are; none where it is not installed."""
    try:
        from evalstats import pairwise_differences
    except ImportError:
        return {}

    def interval(scores: Matrix) -> Interval:
        both = np.stack([scores, np.zeros_like(scores)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = pairwise_differences(
                both, 0, 1, "altered", "original", rng=np.random.default_rng(0), n_bootstrap=1000
            )
        return float(found.ci_low), float(found.ci_high)

    return {
        "evalstats: tasks": lambda study: interval(study.mean(axis=-1).T),
        "evalstats: instances": lambda study: interval(study.reshape(study.shape[0], -1).T),
    }


def rows(runs: int) -> Iterator[dict[str, object]]:
    """Yield the share of studies whose interval holds the truth, and its mean width, by world and design."""
    tools = {"ours": ours, **theirs()}
    for name, world in WORLDS.items():
        for seeds in SEEDS:
            for tasks in TASKS:
                generator = np.random.default_rng(1000 * seeds + tasks)
                studies = [draw(world, seeds, tasks, generator) for _ in range(runs)]
                row: dict[str, object] = {"world": name, "seeds": seeds, "tasks": tasks}
                for tool, interval in tools.items():
                    bounds = np.array([interval(study) for study in studies])
                    row[tool] = float(np.mean((bounds[:, 0] <= 0) & (bounds[:, 1] >= 0)))
                    row[f"{tool}, width"] = float(np.mean(bounds[:, 1] - bounds[:, 0]))
                yield row


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=200, help="studies a line")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    given = parser.parse_args()
    found = list(rows(given.runs))
    print("world | seeds | tasks | " + " | ".join(key for key in found[0] if key not in _DESIGN))
    for row in found:
        shown = [f"{value:.1f}" if "width" in key else f"{100 * float(str(value)):.1f} %"
                 for key, value in row.items() if key not in _DESIGN]  # fmt: skip
        print(f"{row['world']} | {row['seeds']} | {row['tasks']} | " + " | ".join(shown), flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


_DESIGN = ("world", "seeds", "tasks")

if __name__ == "__main__":
    main()
