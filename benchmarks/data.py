"""The data path as tasks grow: from task files to the first batch, cold and for the second cell.

    python benchmarks/data.py [--sizes 10 100 757] [--instances 100] [--json FILE]

Collections are generated to size in the Super-NaturalInstructions layout from the starter tasks: instances are
numbered copies. Every measurement is a fresh process; the second one finds what the first has prepared.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

STARTER = Path(__file__).parents[1] / "src" / "instruct_ablate" / "tasks" / "starter"
CACHE = Path(".cache").absolute()


def generate(folder: Path, tasks: int, instances: int) -> None:
    """Write a collection of so many training tasks, and three test tasks."""
    names = {
        kind: (STARTER / "splits/default" / f"{kind}_tasks.txt").read_text().split()
        for kind in ("train", "test")
    }
    wanted = {
        "train": [names["train"][n % len(names["train"])] for n in range(tasks)],
        "test": names["test"][:3],
    }
    (folder / "tasks").mkdir(parents=True)
    (folder / "splits" / "default").mkdir(parents=True)
    for kind, chosen in wanted.items():
        written = [_write(folder, name, number, instances) for number, name in enumerate(chosen)]
        (folder / "splits/default" / f"{kind}_tasks.txt").write_text("\n".join(written) + "\n")


def _write(folder: Path, name: str, number: int, instances: int) -> str:
    task = json.loads((STARTER / "tasks" / f"{name}.json").read_text(encoding="utf-8"))
    given, copy = task["Instances"], f"{name}_copy{number}"
    task["Instances"] = [
        {
            "id": f"{copy}-{n}",
            "input": f"{given[n % len(given)]['input']} (No. {number}.{n})",
            "output": given[n % len(given)]["output"],
        }
        for n in range(instances)
    ]
    (folder / "tasks" / f"{copy}.json").write_text(json.dumps(task), encoding="utf-8")
    return copy


@dataclass(frozen=True)
class Timing:
    """Seconds of the stages in one process, and its memory."""

    read: float
    prompts: float
    tokens: float
    first_batch: float
    count: int
    peak_mib: float
    before_mib: float
    processor: float

    @property
    def seconds(self) -> float:
        return self.read + self.prompts + self.tokens + self.first_batch


def one_cell(root: Path, cache: Path, instances: int) -> Timing:
    """What a cell does before its first step."""
    from instruct_ablate.cell.run.training import prompts_in_training
    from instruct_ablate.cell.run.training_data import training_data
    from instruct_ablate.data.datamodule import PromptDataModule
    from instruct_ablate.data.encoding import Encoding
    from instruct_ablate.data.examples import Examples
    from instruct_ablate.grid.composing.composer import compose_config
    from instruct_ablate.model.loading.checkpoint import load_tokenizer
    from instruct_ablate.model.loading.tokenizer import TokenizerTokens
    from instruct_ablate.tasks.collection import read_tasks

    words = ["tasks=natural_instructions", f"tasks.root={root}", f"data_budget={instances}"]
    config = compose_config([*words, f"cache={cache}", "logger=none"])
    tokenizer, before = load_tokenizer(config.model, CACHE), _memory()
    encoding, tokens = Encoding(tokenizer, False), TokenizerTokens.of(tokenizer, config.prompt)
    times, spent = [time.perf_counter()], time.process_time()
    collection = read_tasks(config.tasks, cache)
    times.append(time.perf_counter())
    make = partial(prompts_in_training, config, collection, tokens)
    examples, _ = training_data(config, collection, encoding, make)
    times.append(time.perf_counter())
    if not isinstance(examples, Examples):
        sys.exit("this package's files changed a moment ago: nothing is kept for a second cell; run it again")
    store = examples.open()
    times.append(time.perf_counter())
    next(iter(PromptDataModule(store, config, None).train_dataloader()))
    times.append(time.perf_counter())
    spent = time.process_time() - spent
    stages = [later - earlier for earlier, later in itertools.pairwise(times)]
    return Timing(*stages, len(examples), _memory(), before, spent)


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fresh(root: Path, cache: Path, instances: int) -> Timing:
    command = [sys.executable, __file__, "--cell", str(root), str(cache), "--instances", str(instances)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return Timing(**json.loads(done.stdout.splitlines()[-1]))


def measure(sizes: Sequence[int], instances: int) -> list[dict[str, float]]:
    rows = []
    for tasks in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root, cache = Path(folder) / "collection", Path(folder) / "cache"
            generate(root, tasks, instances)
            first, second = (fresh(root, cache, instances) for _ in range(2))
        row = {
            "tasks": tasks,
            "prompts": first.count,
            "first cell, s": round(first.seconds, 2),
            "of that reading": round(first.read, 2),
            "prompts built": round(first.prompts, 2),
            "tokenised": round(first.tokens, 2),
            "prompts/s": round(first.count / first.seconds),
            "second cell, s": round(second.seconds, 2),
            "processor, s, first and second": [round(first.processor, 2), round(second.processor, 2)],
            "its first batch, s": round(second.first_batch, 3),
            "memory, first and second, MiB beyond the start": [
                round(timing.peak_mib - timing.before_mib) for timing in (first, second)
            ],
        }
        print(json.dumps(row), flush=True)
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 757])
    parser.add_argument("--instances", type=int, default=100)
    parser.add_argument("--json", type=Path, help="write the result here too")
    parser.add_argument("--cell", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cell:
        print(json.dumps(asdict(one_cell(*given.cell, given.instances))))
        return
    rows = measure(given.sizes, given.instances)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
