"""Random collections all the way: reader, instruction, template, baseline or tiny model, decoding, report.

What is not refused in one line before the start ends done, with a finite score for every instance, and in a report.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instruct_ablate.baselines import BASELINES
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.record.predictions import read_predictions
from instruct_ablate.errors import UserError
from instruct_ablate.grid.checking.preflight import faults
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.report.report import write_report
from instruct_ablate.schema import (
    BudgetConfig,
    Config,
    EvaluationConfig,
    InstructionConfig,
    PromptConfig,
    TasksConfig,
    TrainerConfig,
)
from instruct_ablate.tasks.readers import starter as starter_reader
from tests.tasks.layout import write_collection
from tests.tasks.test_all_readers import LABELS, READERS, TEXTS, Item

INSTRUCTIONS = sorted(
    path.stem for path in (Path(__file__).parents[1] / "conf" / "instruction").glob("*.yaml")
)
TEMPLATES = ("tk_instruct", "alpaca", "plain")
DECODINGS = ("greedy", "constrained", "rank", "rank_normalized")
RICH = ("natural_instructions with examples", "starter")

OUTPUTS = st.one_of(st.sampled_from((*LABELS, "Yes.", "-1", "1", "हाँ", "它是")), TEXTS)
EXAMPLE = st.builds(
    lambda text, output: {"input": text, "output": output, "explanation": text}, TEXTS, OUTPUTS
)
INSTANCE = st.builds(
    lambda text, outputs: {"input": text, "output": outputs}, TEXTS, st.lists(OUTPUTS, min_size=1, max_size=3)
)
TASK = st.fixed_dictionaries(
    {
        "Definition": TEXTS.map(lambda text: [f"Answer {text}"]),
        "Positive Examples": st.lists(EXAMPLE, min_size=2, max_size=3),
        "Negative Examples": st.lists(EXAMPLE, max_size=2),
        "Instances": st.lists(INSTANCE, min_size=2, max_size=5),
        "Output_language": st.sampled_from((["English"], ["Hindi"], ["English", "Chinese"])),
    }
)
ROWS = st.lists(
    st.builds(Item, TEXTS, OUTPUTS, st.one_of(st.none(), st.integers(0, 3), TEXTS)), min_size=1, max_size=6
)
BARE = st.tuples(st.sampled_from(sorted(READERS)), ROWS)
EXPLAINED = st.tuples(st.sampled_from(RICH), st.lists(TASK, min_size=2, max_size=3))
COLLECTIONS = st.one_of(BARE, EXPLAINED)
CHOICES = st.fixed_dictionaries(
    {"instruction": st.sampled_from(INSTRUCTIONS), "template": st.sampled_from(TEMPLATES)}
)


def written(root: Path, reader: str, content: list[Any]) -> TasksConfig:
    """Write a random collection for a reader; of the rich ones the last task is for training."""
    if reader in READERS:
        return READERS[reader](root, content)
    names = {f"task{n}": task for n, task in enumerate(content)}
    last = f"task{len(content) - 1}"
    write_collection(root, {last: names.pop(last)}, names)
    if reader == "starter":
        starter_reader.FOLDER = root
        return TasksConfig("starter")
    return TasksConfig("natural_instructions", root=str(root), language=None)


@pytest.fixture(autouse=True)
def _own_starter_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter_reader, "FOLDER", starter_reader.FOLDER)  # puts it back afterwards


@cache
def instruction(name: str) -> InstructionConfig:
    return compose_config([f"instruction={name}", "model=copy_input"]).instruction


@cache
def composed(model: str) -> Config:
    return compose_config([f"model={model}", "logger=none", "reuse=none", "data_budget=0"])


def go(folder: Path, tasks: TasksConfig, choices: dict[str, str], model: str, **changes: Any) -> None:
    """Run one cell of a study, unless it is refused, and report on it."""
    config = replace(
        composed(model),
        tasks=tasks,
        instruction=instruction(choices["instruction"]),
        prompt=PromptConfig(choices["template"], max_target_length=16),
        output=str(folder),
        study="s",
        **changes,
    )
    try:
        refused = faults([config])
    except UserError as error:
        refused = [str(error)]
    if refused:
        assert all(fault and "\n" not in fault and "Traceback" not in fault for fault in refused), refused
        return
    record = run_cell(config)
    assert record.state == "done", record.failure
    for block in record.blocks:
        rows = read_predictions(folder / "s" / record.name / block.predictions)
        assert len(rows) == block.scores.overall.instances > 0
        assert all(math.isfinite(value) for _, value in block.scores.overall.values)
        assert all(
            len({row.word_rule for row in rows if row.task == one.score.name}) == 1
            for one in block.scores.tasks
        )
    report = write_report(folder / "s")
    assert (report.folder / "index.html").is_file()


def property_of(examples: int) -> Callable[[Any], Any]:
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))


def baselines(
    given_collection: tuple[str, list[Any]], choices: dict[str, str], model: str, cache: Path
) -> None:
    with TemporaryDirectory() as folder:
        data = Path(folder, "data")
        data.mkdir()
        go(Path(folder), written(data, *given_collection), choices, model, cache=str(cache))


def tiny(
    given_collection: tuple[str, list[Any]], choices: dict[str, str], decoding: str, budget: int, cache: Path
) -> None:
    """Test a tiny model, trained on two instances where the collection has a training task."""
    with TemporaryDirectory() as folder:
        data = Path(folder, "data")
        data.mkdir()
        budget = budget if given_collection[0] in RICH else 0
        trainer = TrainerConfig(precision="fp32", batch_size=2, accelerator="cpu", progress=False, threads=1)
        changes = {"data_budget": BudgetConfig(budget), "trainer": trainer, "cache": str(cache)}
        evaluation = EvaluationConfig(decoding=decoding)
        go(
            Path(folder),
            written(data, *given_collection),
            choices,
            "tiny_llama",
            evaluation=evaluation,
            **changes,
        )


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@given(collection=COLLECTIONS, choices=CHOICES, model=st.sampled_from(BASELINES))
@property_of(4)
def test_baselines_on_a_few(collection: Any, choices: Any, model: str, cache_folder: Path) -> None:
    baselines(collection, choices, model, cache_folder)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(collection=COLLECTIONS, choices=CHOICES, model=st.sampled_from(BASELINES))
@property_of(20)
def test_baselines_on_many(collection: Any, choices: Any, model: str, cache_folder: Path) -> None:
    baselines(collection, choices, model, cache_folder)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("decoding", DECODINGS)
@given(collection=COLLECTIONS, choices=CHOICES, budget=st.sampled_from((0, 2)))
@property_of(4)
def test_a_tiny_model_on_many(
    decoding: str, collection: Any, choices: Any, budget: int, cache_folder: Path
) -> None:
    tiny(collection, choices, decoding, budget, cache_folder)
