"""Scores of whole baseline cells, through every reader: order, ids, columns and studies change none of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.grid.composer import compose_config
from instruct_ablate.grid.study import read_study
from instruct_ablate.metrics.rouge import rouge
from instruct_ablate.report.rows import build_rows
from instruct_ablate.schema import Config, TasksConfig
from tests.tasks.test_all_readers import Item, Write, every_reader, hub, own, p3, write_rows

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
MODELS = ("copy_input", "majority")
OPEN = (p3, own)  # no label space is derived there: nothing for a majority
Scores = dict[tuple[str, str], float | None]
CHANGES: dict[str, Callable[[Sequence[Item]], Sequence[Item]]] = {
    "reordered": lambda items: [*items[3:], *items[2::-1]],
    "renamed": lambda items: [replace(one, id=f"other {n}") for n, one in enumerate(items)],
    "without ids": lambda items: [replace(one, id=None) for one in items],
    "with one id": lambda items: [replace(one, id="same") for one in items],
    "with numbers": lambda items: [replace(one, id=n) for n, one in enumerate(items)],
    "with another column": lambda items: [replace(one, note=f"{n}: {one.output}") for n, one in enumerate(items)],
}  # fmt: skip


@cache
def composed_for(model: str) -> Config:
    return compose_config([f"model={model}", "logger=none", "reuse=none"])


def scores(root: Path, write: Write, items: Sequence[Item], study: str = "one") -> Scores:
    """Run the baselines over a data set, and return each task's measures by model and name."""
    data = root / "data"
    data.mkdir(parents=True)
    tasks = write(data, items)
    found: Scores = {}
    for model in MODELS:
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


@every_reader
def test_order_ids_and_other_columns_change_no_score(write: Write, tmp_path: Path) -> None:
    first = scores(tmp_path / "first", write, ITEMS)
    assert first["majority", "exact_match"] == pytest.approx(100 * 5 / 7 if write not in OPEN else 0)
    assert first["copy_input", "exact_match"] == pytest.approx(100 * 2 / 7)
    for name, change in CHANGES.items():
        assert scores(tmp_path / name, write, change(ITEMS)) == pytest.approx(first), name


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


def test_one_study_or_two_give_the_same_rows(tmp_path: Path) -> None:
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
        tasks = hub(data, items)
        for model in MODELS:
            config = replace(composed_for(model), tasks=tasks, output=str(tmp_path / "out"))
            config = replace(config, study=study, cache=str(tmp_path / "cache"))
            assert run_cell(config).state == "done"
    assert len(rows("both")) == 4
    assert rows("both") == rows("a", "b")
