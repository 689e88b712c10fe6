"""The cells of a grid as `benchmarks/cells.py` runs it: what each trains on and what it is asked, in tokens.

    python -m benchmarks limits --case grid [--study FOLDER] [--peer-seconds N] --cells --root DIR --method lora ...

All behind `--cells` is what `cells` takes. Answers are those of a finished study of the same grid (`--study`), else the
references.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.counting import Pair, Part, Sizes, Work, apart
from benchmarks.grid_work import Adapters, CellWork, full_tuning, top_adapters

from benchmarks import cells
from instruct_ablate.cell.run.evaluation import prompts_at_test
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record.predictions import read_predictions
from instruct_ablate.configuration.top_layers import top_count
from instruct_ablate.data.datamodule import PromptDataModule
from instruct_ablate.data.store import token_store
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.instruction.context import Context
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.model.loading.tokenizer import TokenizerTokens, encoding_of
from instruct_ablate.prompt.build import build_prompts
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.sampling.budget import sample
from instruct_ablate.tasks.task import TaskCollection


def configs(given: argparse.Namespace, output: Path, cache: Path) -> Iterator[Config]:
    """Yield the configurations of the untuned cell and of all others; `given` are the options of `cells`."""
    grid = itertools.product(given.definitions, given.budgets, given.seeds)
    words = [*cells.own_words(given), *cells.words_of(given, output, cache)]
    for definition, budget, seed in ((given.definitions[0], 0, given.seeds[0]), *grid):
        yield compose_config([f"instruction={definition}", f"data_budget={budget}", f"seed={seed}", *words])


def parts_of(
    checkpoint: Checkpoint, given: argparse.Namespace, study: Path | None
) -> tuple[list[Part], Work]:
    """Return what a grid has to compute, and what it would be were nothing shared within or between cells."""
    every = list(configs(given, Path("multirun"), cells.CACHE))
    sizes, made = Sizes.of(checkpoint.model.config), cells_of(checkpoint, every, study)
    separate = Work()
    for cell in made:
        separate += apart(sizes, cell.tested)
        for step in cell.steps:
            separate += apart(sizes, step).times(3.0)
    method = every[0].method
    if method.name == "full":
        return full_tuning(sizes, made), separate
    top = top_count(method.layers)
    if top is None or top >= len(sizes.decoder) or method.target != "all_linear" or method.target_modules:
        sys.exit(
            f"method.layers={method.layers}, method.target={method.target}, method.target_modules="
            f"{list(method.target_modules)}: adapters are counted in all linear layers of the top ones, below which "
            "something is frozen (--layers top:8)"
        )
    return top_adapters(sizes, Adapters.of(checkpoint.model.config, top, method.rank), made), separate


def cells_of(checkpoint: Checkpoint, every: Sequence[Config], study: Path | None) -> list[CellWork]:
    """Return what each cell has to do."""
    collection = read_tasks(every[0].tasks, Path(every[0].cache))
    return [_cell(checkpoint, config, collection, study) for config in every]


def _cell(checkpoint: Checkpoint, config: Config, collection: TaskCollection, study: Path | None) -> CellWork:
    tokens, encoding = (
        TokenizerTokens.of(checkpoint.tokenizer, config.prompt),
        encoding_of(checkpoint, config.prompt),
    )
    tested = prompts_at_test(config, collection, config.instruction, tokens)
    sources = encoding.sources([prompt.source for prompt in tested], config.prompt.max_source_length)
    answers = _answers(config, tested, study)
    written = encoding.targets(answers, config.prompt.max_target_length)[0]
    pairs = tuple(zip(map(tuple, sources), map(tuple, written), strict=True))
    return CellWork(tuple(_steps(checkpoint, config, collection, tokens, encoding)), pairs)


def _steps(
    checkpoint: Checkpoint, config: Config, collection: TaskCollection, tokens: Any, encoding: Any
) -> Iterator[tuple[Pair, ...]]:
    """Yield the examples of each training step."""
    if not config.data_budget.instances_per_task:
        return
    chosen = sample(collection.train, config.data_budget, config.seed).tasks
    context = Context(config.seed, collection.train)
    shown = build_prompts(chosen, config.instruction, config.prompt, tokens, context)
    store = token_store(list(shown), encoding, config.prompt, Path(config.cache))
    schedule = PromptDataModule(store, config, checkpoint.start_token).schedule
    for step in range(schedule.steps):
        order = schedule.order(step // schedule.steps_per_epoch)
        examples = map(int, order[step % schedule.steps_per_epoch])
        yield tuple(
            (tuple(store.sources[one].tolist()), tuple(store.targets[one].tolist())) for one in examples
        )


def _answers(config: Config, tested: Sequence[Prompt], study: Path | None) -> list[str]:
    """Return what a cell of a finished study answered, or the references."""
    if study is None:
        return [prompt.target for prompt in tested]
    folder = study / identify(config).name
    files = sorted((folder / "predictions").glob("*.jsonl"))
    if len(files) != 1:
        sys.exit(
            f"{folder}: {len(files)} files of predictions; --study takes a finished study of this grid, one test a cell"
        )
    found = {row.key: row.prediction for row in read_predictions(files[0])}
    return [found[prompt.task, prompt.instance_id] for prompt in tested]
