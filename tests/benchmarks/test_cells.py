"""The grid's two sides are asked for the same, and the peer trains the same adapters at the same rate."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cells, training

SMALL = ["tasks.test_tasks=1", "tasks.test_instances=2", "data_budget.tasks=2", "prompt.max_target_length=16"]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the peer was given to train, by each cell; it trains all the same."""
    found: list[dict[str, Any]] = []
    real = training.peer

    def peer(checkpoint: Any, data: Any, given: argparse.Namespace, clock: Any, rate: float) -> Any:
        learning = [name for name, one in checkpoint.model.named_parameters() if one.requires_grad]
        made = real(checkpoint, data, given, clock, rate)
        found.append({"learning": learning, "rate": rate, "steps": given.steps, "losses": made["losses"]})
        return made

    monkeypatch.setattr(training, "peer", peer)
    monkeypatch.setattr(training, "CACHE", Path("cache"))
    return found


def test_both_sides_are_asked_for_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def run(command: list[str]) -> str:
        asked.append(command)
        return '{"rougeL": 1.0}'

    monkeypatch.setattr(cells, "run", run)
    words = ["--method", "lora", "--layers", "top:8", "--both", "trainer.epochs=3", "--seeds", "5"]
    given = cells.options().parse_args([*words, "--override", "hydra/launcher=basic"])
    cells.ours(given, tmp_path / "ours")
    assert len(cells.theirs(given, tmp_path / "peer")) == len(asked) - 1 == 3 * 2 + 1
    for command in asked:
        assert {"method=lora", "method.layers=top:8", "trainer.epochs=3", "trainer.schedule=constant"} <= {
            *command
        }
    assert ["hydra/launcher=basic" in command for command in asked] == [True] + [False] * 7
    asked.clear()
    shared = cells.options().parse_args([*words, "--data", "shared"])
    cells.ours(shared, tmp_path / "shared")
    cells.theirs(shared, tmp_path / "others")
    assert ["data=shared" in command for command in asked] == [True] + [False] * 7
    plain = cells.words_of(cells.options().parse_args([]), tmp_path, tmp_path)
    assert not any(word.startswith("method") for word in plain)


@pytest.mark.parametrize("lora", [True, False])
def test_a_cell_of_the_peer(
    lora: bool, seen: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    method = ["method=lora", "method.layers=top:1"] if lora else []
    words = [
        "model=tiny_llama",
        *SMALL,
        "trainer.learning_rate=0.01",
        "cache=cache",
        f"output={tmp_path}",
        *method,
    ]
    told = cells.cell([*words, "data_budget=2", "trainer.batch_size=2", "trainer.epochs=2"], 2)
    (found,) = seen
    assert found["rate"] == pytest.approx(0.1 if lora else 0.01)
    assert found["steps"] == len(found["losses"]) == 4
    assert all(("lora" in name and "layers.1." in name) is lora for name in found["learning"])
    assert told["trains"]
    assert told["answers"] == 2
    untuned = cells.cell([*words, "data_budget=0"], 2)
    assert len(seen) == 1
    assert not untuned["trains"]
