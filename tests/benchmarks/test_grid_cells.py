"""What is counted of a grid is what its cells train on and answer."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.counting import work_of

from benchmarks import cells, evaluation, grid_cells, limits
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.data.encoding import Encoding
from instruct_ablate.model.loading.checkpoint import Checkpoint, load_checkpoint
from instruct_ablate.schema import ModelConfig

SMALL = [
    "--definitions", "original", "--budgets", "3", "--seeds", "0", "--tasks", "2", "--test-tasks", "1",
    "--test-instances", "3", "--both", "model=tiny_llama", "trainer=tiny", "trainer.epochs=2", "trainer.batch_size=4",
    "prompt.max_target_length=8",
]  # fmt: skip


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    monkeypatch.setattr(cells, "CACHE", tmp_path / "cache")
    return load_checkpoint(ModelConfig(name="tiny_llama", source="random"), torch.float32, tmp_path / "cache")


def asked(*more: str) -> argparse.Namespace:
    return cells.options().parse_args([*SMALL, *more])


def test_steps_and_answers_are_those_of_the_cells(checkpoint: Checkpoint, tmp_path: Path) -> None:
    given = asked()
    every = list(grid_cells.configs(given, tmp_path, cells.CACHE))
    records = [run_cell(config) for config in every]
    assert [record.state for record in records] == ["done", "done"]
    untuned, trained = grid_cells.cells_of(checkpoint, every, tmp_path / every[0].study)
    assert untuned.steps == ()
    assert len(trained.steps) == records[1].cost.train_steps == 4
    pairs = [pair for step in trained.steps for pair in step]
    assert len(pairs) == records[1].cost.train_examples == 12
    assert sum(len(one) + len(other) for one, other in pairs) == records[1].cost.train_tokens
    assert len(set(pairs[:6])) == 6
    assert set(pairs[:6]) == set(pairs[6:])  # each epoch takes all, in an order of its own
    encoding = Encoding(checkpoint.tokenizer, False)
    for cell, record in zip((untuned, trained), records, strict=True):
        (file,) = (tmp_path / every[0].study / record.name / "predictions").glob("*.jsonl")
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        written = encoding.targets([row["prediction"] for row in rows], 8)[0]
        assert sorted(map(list, (target for _, target in cell.tested))) == sorted(map(list, written))
    referred = grid_cells.cells_of(checkpoint, every, None)
    assert [cell.steps for cell in referred] == [(), trained.steps]
    assert [one for one, _ in referred[0].tested] == [one for one, _ in untuned.tested]


def test_a_study_that_is_not_this_grid_s_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    every = list(grid_cells.configs(asked(), tmp_path, cells.CACHE))
    with pytest.raises(
        SystemExit, match=r"0 files of predictions; --study takes a finished study of this grid"
    ):
        grid_cells.cells_of(checkpoint, every, tmp_path)


@pytest.mark.parametrize("layers", ["all", "top:1"])
def test_a_grid_says_how_much_faster_than_the_peer_one_could_be(
    layers: str, checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "pretrained", lambda *_, **__: checkpoint)
    monkeypatch.setattr(limits.machine, "product_rate", lambda *_, **__: 1e6)
    monkeypatch.setattr(limits.Kernels, "rate", lambda *_: 0.5e6)
    method = ["--method", "lora", "--layers", layers] if layers != "all" else []
    words = [*SMALL[: SMALL.index("--both")], *method, *SMALL[SMALL.index("--both") :]]
    given = limits.options(["--case", "grid", "--kernels", "--peer-seconds", "500", "--cells", *words])
    assert given.case == ["grid"]
    found: dict[str, Any] = limits.run_case("grid", given)
    made, separate = grid_cells.parts_of(checkpoint, cells.options().parse_args(words), None)
    least = work_of(made).total / 1e6
    assert found["least seconds at the rate of a large product"] == round(least, 1)
    assert found["greatest ratio at the rate of a large product"] == round(500 / least, 2)
    assert found["greatest ratio at the rate of its kernels"] == round(250 / least, 2)
    assert found["greatest share at the kernels' rates"] == 0.5
    assert separate.total > work_of(made).total
    assert found["without sharing"] == f"{separate.total / work_of(made).total:.2f}x"


@pytest.mark.parametrize("words", [["method.target=attention"], ["method.target_modules=[q_proj]"]])
def test_other_adapters_than_those_counted_are_refused(words: list[str], checkpoint: Checkpoint) -> None:
    given = asked(*words)
    given.method, given.layers = "lora", "top:1"
    with pytest.raises(SystemExit, match="all linear layers of the top ones"):
        grid_cells.parts_of(checkpoint, given, None)


def test_adapters_in_all_layers_are_refused(checkpoint: Checkpoint) -> None:
    given = asked()
    given.method = "lora"
    with pytest.raises(SystemExit, match=r"method\.layers=all"):
        grid_cells.parts_of(checkpoint, given, None)
