"""Scores of whole baseline cells, through every reader: order, ids, columns and studies change none of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.grid.study import read_study
from instruct_ablate.metrics.rouge import rouge
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.schema import BudgetConfig, Config, EvaluationConfig, PromptConfig, TasksConfig
from instruct_ablate.tasks.readers import starter as starter_reader
from tests.cell.run.test_stages import folder_of, small
from tests.tasks.test_all_readers import (
    READERS,
    Item,
    Write,
    alpaca,
    hub,
    natural_instructions,
    own,
    p3,
    write_rows,
)

ITEMS = tuple(
    Item(text, label, f"row-{n}")
    for n, (text, label) in enumerate(
        [
            ("yes it is", "yes"),
            ("a no", "no"),
            ("yes", "yes"),
            ("so say I", "yes"),
            ("no", "no"),
            ("it is", "yes"),
            ("we say yes", "yes"),
        ]
    )
)
MODELS = ("copy_input", "majority", "label_prior")
OPEN = (p3, own)  # no label space is derived there: nothing for a majority


def starter(root: Path, items: Sequence[Item]) -> TasksConfig:
    """The items as the package's own tasks."""
    natural_instructions(root, items)
    starter_reader.FOLDER = root
    return TasksConfig(reader="starter")


@pytest.fixture(autouse=True)
def _own_starter_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter_reader, "FOLDER", starter_reader.FOLDER)  # puts it back afterwards


EVERY = {**READERS, "starter": starter}
every_reader = pytest.mark.parametrize("write", EVERY.values(), ids=EVERY)
# By default for one reader, in CI for all.
slowly = pytest.mark.parametrize(
    "write",
    [write if write is hub else pytest.param(write, marks=pytest.mark.slow) for write in EVERY.values()],
    ids=EVERY,
)
Scores = dict[tuple[str, str], float | None]
CHANGES: dict[str, Callable[[Sequence[Item]], Sequence[Item]]] = {
    "reordered": lambda items: [*items[3:], *items[2::-1]],
    "renamed": lambda items: [replace(one, id=f"other {n}") for n, one in enumerate(items)],
    "without ids": lambda items: [replace(one, id=None) for one in items],
    "with one id": lambda items: [replace(one, id="same") for one in items],
    "with numbers": lambda items: [replace(one, id=n) for n, one in enumerate(items)],
    "with another column": lambda items: [replace(one, note=f"{n}: {one.output}") for n, one in enumerate(items)],
}  # fmt: skip
SAME_IDS = ("reordered", "with another column")


@cache
def composed_for(model: str) -> Config:
    return compose_config([f"model={model}", "logger=none", "reuse=none"])


def scores(
    root: Path, write: Write, items: Sequence[Item], models: Sequence[str] = MODELS, study: str = "one"
) -> Scores:
    """Run the baselines over a data set, and return each task's measures by model and name."""
    data = root / "data"
    data.mkdir(parents=True)
    tasks = write(data, items)
    found: Scores = {}
    for model in models:
        composed = composed_for(model)
        config = replace(
            composed, tasks=tasks, output=str(root / "out"), study=study, cache=str(root / "cache")
        )
        record = run_cell(config)
        assert record.state == "done", record.failure
        (task,) = record.blocks[0].scores.tasks
        assert task.score.instances == len(items)
        found |= {(model, name): task.score.get(name) for name in ("exact_match", "rouge1", "rougeL")}
    return found


@slowly
def test_order_ids_and_other_columns_change_no_score(write: Write, tmp_path: Path) -> None:
    first = scores(tmp_path / "first", write, ITEMS)
    assert first["majority", "exact_match"] == pytest.approx(100 * 5 / 7 if write not in OPEN else 0)
    assert first["copy_input", "exact_match"] == pytest.approx(100 * 2 / 7)
    for name, change in CHANGES.items():
        # label_prior draws by ids, which this one reader makes from a row's place.
        same_ids = name in SAME_IDS and (write is not alpaca or name != "reordered")
        models = MODELS if same_ids else MODELS[:2]
        right = {key: value for key, value in first.items() if key[0] in models}
        assert scores(tmp_path / name, write, change(ITEMS), models) == pytest.approx(right), name


@every_reader
def test_a_row_twice_counts_twice(write: Write, tmp_path: Path) -> None:
    items = (*ITEMS, ITEMS[0])
    found = scores(tmp_path, write, items)
    assert found["majority", "exact_match"] == pytest.approx(100 * 6 / 8 if write not in OPEN else 0)
    assert found["copy_input", "exact_match"] == pytest.approx(100 * 2 / 8)
    expected = [rouge(one.input, one.output) for one in items]
    assert found["copy_input", "rouge1"] == pytest.approx(100 * statistics.fmean(one for one, _ in expected))
    assert found["copy_input", "rougeL"] == pytest.approx(100 * statistics.fmean(one for _, one in expected))


def in_shards(root: Path, items: Sequence[Item]) -> TasksConfig:
    config = hub(root, items)
    whole = root / "t.jsonl"
    whole.unlink()
    rows = [{"text": one.input, "label": one.output, "key": one.id, "note": one.note} for one in items]
    for n, part in enumerate((rows[:3], rows[3:])):
        write_rows(root / f"train-0000{n}-of-00002.jsonl", part)
    return replace(config, root=str(root))


def test_shards_change_no_score(tmp_path: Path) -> None:
    assert scores(tmp_path / "a", in_shards, ITEMS) == pytest.approx(scores(tmp_path / "b", hub, ITEMS))


@slowly
def test_one_study_or_two_give_the_same_rows(write: Write, tmp_path: Path) -> None:
    """Of two data sets whose tasks are called alike."""
    other = [replace(one, output="no") if n == 0 else one for n, one in enumerate(ITEMS)]

    def rows(*studies: str) -> list[tuple[str, str, float]]:
        found = []
        for study in studies:
            cells = read_study(tmp_path / "out" / study).cells
            for row in build_rows(cells, "original"):
                mean = row.mean("rougeL")
                assert mean is not None
                found.append((row.setting.model, row.setting.revision("tasks"), mean.value))
        return sorted(found)

    for study, items, number in (("both", ITEMS, 1), ("both", other, 2), ("a", ITEMS, 3), ("b", other, 4)):
        data = tmp_path / str(number)
        data.mkdir()
        tasks = write(data, items)
        for model in MODELS[:2]:
            config = replace(composed_for(model), tasks=tasks, output=str(tmp_path / "out"))
            config = replace(config, study=study, cache=str(tmp_path / "cache"))
            assert run_cell(config).state == "done"
    assert len(rows("both")) == 4
    assert rows("both") == rows("a", "b")


@pytest.mark.slow
@every_reader
@pytest.mark.parametrize("decoding", ["greedy", "rank"])
def test_batches_and_a_stop_in_between_change_no_score(
    write: Write, decoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an untuned model: rows in one batch, in single ones, and in two runs."""
    from instruct_ablate.model.decoding import predict as decoding_module

    data = tmp_path / "data"
    data.mkdir()
    tasks = write(data, ITEMS)

    def cell(study: str, tokens: int = 16_384) -> Config:
        evaluation = EvaluationConfig(decoding=decoding, batch_tokens=tokens)
        prompt = PromptConfig("tk_instruct", max_target_length=8)
        changes = {"tasks": tasks, "data_budget": BudgetConfig(0), "evaluation": evaluation, "prompt": prompt}
        return small(tmp_path, tmp_path / "cache", study=study, reuse="none", **changes)

    real = decoding_module.predict

    def stops(checkpoint: Any, prompts: Any, config: Any, finished: Any, *more: Any) -> Any:
        for number, prediction in enumerate(real(checkpoint, prompts, config, finished, *more)):
            if number == 3 and not finished:
                raise RuntimeError("the power went")
            yield prediction

    whole, single = run_cell(cell("whole")), run_cell(cell("single", 1))
    monkeypatch.setattr(decoding_module, "predict", stops)
    assert run_cell(cell("stopped")).state == "failed"
    again = run_cell(cell("stopped"))
    for record in (whole, single, again):
        assert record.state == "done", record.failure
    assert again.blocks == whole.blocks
    assert single.blocks[0].scores == whole.blocks[0].scores
    assert folder_of(cell("whole"), whole) != folder_of(cell("stopped"), again)
