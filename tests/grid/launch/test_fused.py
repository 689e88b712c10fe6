"""Cells that train together: which do, which do not and why, and that a sweep's cells are what they are alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from instruct_ablate.disk.learning_curve import read_curve
from instruct_ablate.grid.launch import fused
from instruct_ablate.grid.launch.fused import groups, run_fused, why_alone
from instruct_ablate.grid.planned_cell import Cell
from instruct_ablate.model.loading.checkpoint import load_checkpoint
from instruct_ablate.model.loading.last_loaded import SHELF
from instruct_ablate.process.turns import this_cell
from instruct_ablate.schema import BudgetConfig, Config, LoggerConfig, MethodConfig, ModelConfig
from tests.grid.small import LONG, TASKS, outcome, records, start, sweep
from tests.model.fits import changed
from tests.standins import make_config

LORA = ("method=lora", "hydra/launcher=fused", "hydra.launcher.tokens=6000")


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "visible_gpus", list)
    monkeypatch.setattr(fused, "configure_log", lambda *_: None)


def lora(**changes: Any) -> Config:
    return make_config(Path("output"), **{"method": MethodConfig("lora"), **changes})


def cells_of(configs: Sequence[Config]) -> list[Cell]:
    made: list[Any] = [
        SimpleNamespace(
            config=one, folder=Path(str(place)), identity=SimpleNamespace(hash=str(place), name=str(place))
        )
        for place, one in enumerate(configs)
    ]
    return made


def test_lora_cells_of_one_model_are_together() -> None:
    configs = [
        lora(seed=0),
        lora(method=MethodConfig("full")),
        lora(seed=1, method=MethodConfig("lora", rank=3, target="attention")),
        lora(model=ModelConfig("tiny_qwen2", source="random")),
        changed(lora(seed=2), trainer={"learning_rate": 1e-5, "max_steps": 3, "batch_size": 2}),
        lora(seed=3),
    ]
    found = [[int(cell.identity.name) for cell in group] for group in groups(cells_of(configs), 3, 2048)]
    assert found == [[0, 2, 4], [5], [1], [3]]
    found = [[int(cell.identity.name) for cell in group] for group in groups(cells_of(configs), 3)]
    assert found == [[0, 2, 4, 5], [1], [3]]  # those that take turns share one copy, however many they are


def test_what_a_joined_pass_has_once_may_differ_among_cells_that_take_turns() -> None:
    configs = [lora(), changed(lora(), trainer={"dropout": 0.1}), changed(lora(), trainer={"threads": 2})]
    assert [len(group) for group in groups(cells_of(configs), 8, 2048)] == [1, 1, 1]
    assert [len(group) for group in groups(cells_of(configs), 8)] == [3]
    other = changed(lora(), trainer={"precision": "fp32"})
    assert [
        len(group) for group in groups(cells_of([changed(lora(), trainer={"precision": "bf16"}), other]), 8)
    ] == [1, 1]


PLAIN = changed(lora(), trainer={"accelerator": "cpu", "precision": "fp32"})


@pytest.mark.parametrize("tokens", [None, 2048])
@pytest.mark.parametrize(
    "other",
    [
        replace(PLAIN, cache="elsewhere"),
        replace(PLAIN, extensions=["mine.py"]),
        replace(PLAIN, model=replace(PLAIN.model, revision="v2")),
        changed(PLAIN, trainer={"accelerator": "auto"}),
        changed(PLAIN, trainer={"precision": "bf16"}),
    ],
    ids=["cache", "extensions", "revision", "accelerator", "precision"],
)
def test_cells_whose_weights_are_read_otherwise_are_apart(other: Config, tokens: int | None) -> None:
    assert [len(group) for group in groups(cells_of([PLAIN, other, PLAIN]), 8, tokens)] == [2, 1]


@pytest.mark.parametrize("tokens", [None, 2048])
def test_cells_are_counted_over_all_groups_and_each_is_put_back_after(
    tokens: int | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[str] = []

    def together(tasks: dict[str, Any], most: int) -> None:
        assert most == tokens
        for task in tasks.values():
            task()

    def configure(*words: object) -> None:
        events.append(f"log {words}")

    monkeypatch.setattr("instruct_ablate.cell.run.side_by_side.side_by_side", together)
    monkeypatch.setattr(
        fused, "restoring", lambda _: nullcontext(lambda folder: events.append(f"back {folder}"))
    )
    monkeypatch.setattr(fused, "configure_log", configure)
    caplog.set_level("INFO", logger=fused.log.name)
    hydra = SimpleNamespace(job_logging="as hydra says", verbose="so")
    launcher = SimpleNamespace(
        config=SimpleNamespace(hydra=hydra), task_function=lambda config: events.append(f"ran {config.seed}")
    )
    other = ModelConfig("tiny_qwen2", source="random")
    kinds: list[dict[str, Any]] = [
        {},
        {"model": other},
        {},
        {"model": other},
        {"method": MethodConfig("full")},
    ]
    run_fused(launcher, cells_of([lora(seed=at, **kind) for at, kind in enumerate(kinds)]), 8, tokens)
    logged, *ran = events
    assert logged == "log ('as hydra says', 'so')"
    order, joined = (0, 2, 1, 3, 4), ((0, 2), (1, 3), (4,))
    for group in ((one,) for one in order) if tokens is None else joined:
        for what in ("ran", "back"):
            assert [ran.pop(0) for _ in group] == [f"{what} {seed}" for seed in group]
    assert not ran
    said = [one.getMessage() for one in caplog.records if one.getMessage().startswith("cell")]
    alone = [f"cell {number} of 5: {seed}" for number, seed in enumerate(order, 1)]
    passes = ["cells up to 2 of 5: 0, 2", "cells up to 4 of 5: 1, 3"]
    assert said == (alone if tokens is None else [*passes, alone[-1]])


JOINS_NOT = [
    (lora(method=MethodConfig("lora", dora=True)), "method.dora"),
    (lora(method=MethodConfig("lora", dropout=0.1)), "method.dropout=0.1"),
    (lora(logger=LoggerConfig("wandb")), "logger=wandb"),
    (lora(cell_timeout=1.0), "cell_timeout"),
    (changed(lora(), data={"packing": False}), "packing"),
    (changed(lora(), data={"num_workers": 2}), "num_workers"),
    (changed(lora(), trainer={"precision": "fp16"}), "fp16"),
]
ALONE = [
    (lora(method=MethodConfig("full")), "method=full"),
    (changed(lora(), trainer={"devices": 2}), "several processes"),
    (changed(lora(), trainer={"num_nodes": 2}), "several processes"),
    (changed(lora(), trainer={"strategy": "ddp"}), "several processes"),
    (changed(lora(), trainer={"compile": True}), "compile"),
]


def named(given: object) -> str:
    return given if isinstance(given, str) else ""


@pytest.mark.parametrize(("config", "told"), JOINS_NOT + ALONE, ids=named)
def test_why_a_cell_runs_by_itself(config: Config, told: str, caplog: pytest.LogCaptureFixture) -> None:
    assert told in str(why_alone(config, 2048))
    assert [len(group) for group in groups(cells_of([config, config]), 8, 2048)] == [1, 1]
    assert f"0 runs by itself: {why_alone(config, 2048)}" in caplog.text


@pytest.mark.parametrize(("config", "told"), JOINS_NOT + ALONE, ids=named)
def test_what_keeps_steps_from_being_joined_keeps_none_from_taking_turns(
    config: Config, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    shares = (config, told) in JOINS_NOT
    assert [len(group) for group in groups(cells_of([config, config]), 8)] == ([2] if shares else [1, 1])
    assert (told in caplog.text) != shares


def test_where_there_is_a_gpu_cells_run_in_turn_unless_tokens_are_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fused, "visible_gpus", lambda: ["0"])
    assert "GPU" in str(why_alone(lora()))
    assert why_alone(changed(lora(), trainer={"accelerator": "cpu"})) is None
    assert why_alone(lora(), 2048) is None
    assert [len(group) for group in groups(cells_of([lora(), lora(seed=1)]), 8, 2048)] == [2]


def test_what_does_not_train_is_no_matter(caplog: pytest.LogCaptureFixture) -> None:
    untuned = lora(data_budget=BudgetConfig(0))
    majority = lora(model=ModelConfig("majority", source="baseline"))
    assert [len(group) for group in groups(cells_of([untuned, majority]), 8)] == [1, 1]
    assert not caplog.text


@pytest.mark.parametrize("tokens", [None, 2048])
def test_one_that_raises_is_told_and_the_others_go_on(
    tokens: int | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[int] = []

    def task(config: Config) -> None:
        ran.append(config.seed)
        if config.seed == 1:
            raise ValueError("it broke")

    hydra = SimpleNamespace(job_logging={}, verbose=False)
    launcher = SimpleNamespace(config=SimpleNamespace(hydra=hydra), task_function=task)
    run_fused(launcher, cells_of([lora(seed=seed, output=str(tmp_path)) for seed in range(4)]), 3, tokens)
    assert ran == [0, 1, 2, 3]
    assert "1: ValueError: it broke" in caplog.text


def test_cells_take_turns_over_one_copy_of_the_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put_back: list[str] = []

    def restoring(_: object) -> Any:
        return nullcontext(lambda folder: put_back.append(folder.name))

    def task(config: Config) -> None:
        assert SHELF.lends(taken(config).parameters().__next__())
        assert len(put_back) == config.seed  # each begins in a process that has been put back
        assert this_cell() is None

    def taken(config: Config) -> Any:
        loaded = load_checkpoint(config.model, torch.float32, Path(config.cache))
        models.append(loaded.model)
        return loaded.model

    models: list[Any] = []
    monkeypatch.setattr(fused, "restoring", restoring)
    hydra = SimpleNamespace(job_logging={}, verbose=False)
    launcher = SimpleNamespace(config=SimpleNamespace(hydra=hydra), task_function=task)
    some = [lora(seed=seed, cache=str(tmp_path / "cache")) for seed in range(3)]
    run_fused(launcher, cells_of(some), 2, None)
    assert put_back == ["0", "1", "2"]
    first, *others = ([*model.parameters()] for model in models)
    assert all(one is same for other in others for one, same in zip(first, other, strict=True))
    assert not SHELF.lends(first[0])


def without_times(folder: Path) -> dict[str, object]:
    return {
        name: replace(record, environment=None, cost=record.cost.__class__(), started=0.0, finished=0.0)
        for name, record in records(folder).items()
    }


def test_a_sweep_of_lora_cells_is_what_it_is_in_turn(tmp_path: Path) -> None:
    words = (*TASKS, "method=lora", "instruction=original,simplified", "method.rank=2,8", "data_budget=2")
    wanted, given, turns = tmp_path / "in_turn", tmp_path / "fused", tmp_path / "turns"
    for folder, more in ((wanted, ()), (given, LORA[1:]), (turns, LORA[1:2])):
        folder.mkdir()
        run = sweep(folder, *words, *more)
        assert run.returncode == 0, run.stdout + run.stderr
    assert "cells take turns over one copy" in run.stdout
    for folder in (given, turns):
        assert without_times(folder) == without_times(wanted)
        assert outcome(folder) == outcome(wanted)
    assert {one.environment.fused for one in records(turns).values() if one.environment} == {0}
    company = [record.environment.fused for record in records(given).values() if record.environment]
    assert sorted(company) == [0, 3, 3, 3, 3]  # the untuned model trains with none
    for name in records(given):
        log = (given / "multirun" / "ablation" / name / "log.txt").read_text()
        assert not any(other in log for other in records(given) if other != name)


@pytest.mark.slow
def test_killed_cells_go_on_and_done_ones_are_kept(tmp_path: Path) -> None:
    words = (*LONG, "trainer.checkpoint_every_steps=2", "instruction=original,simplified", "seed=0,1")
    words = (*(word for word in words if word != "data_budget=4"), "data_budget=20", *LORA)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    assert sweep(whole, *words).returncode == 0
    parts.mkdir()
    process, curves = start(parts, *words), "multirun/ablation/*/training.jsonl"
    while process.poll() is None and not any(len(read_curve(one)) >= 5 for one in parts.glob(curves)):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert any(read_curve(one) for one in parts.glob(curves))
    assert not all(record.state == "done" for record in records(parts).values())
    again = sweep(parts, *words)
    assert again.returncode == 0, again.stdout + again.stderr
    assert outcome(parts) == outcome(whole)
    assert "4 done and skipped, 0 to run" in sweep(parts, *words).stdout
