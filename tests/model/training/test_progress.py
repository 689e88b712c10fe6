from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from instruct_ablate.data.micro_batch import EffectiveBatch
from instruct_ablate.disk.learning_curve import read_curve
from instruct_ablate.model.training import progress
from instruct_ablate.model.training.module import InstructionModule
from instruct_ablate.model.training.progress import Bar, Curve
from instruct_ablate.process.progress_lines import ProgressLines
from tests.model.fits import load, make_config


@pytest.fixture
def module(tmp_path_factory: pytest.TempPathFactory) -> InstructionModule:
    config = make_config(tmp_path_factory.getbasetemp() / "cache")
    made = InstructionModule(load(config).model, config.trainer, 10)
    made.loss, made.rate = 2.5, 1e-3
    made.log = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    return made


def step(callback: Any, module: InstructionModule, number: int, tokens: int = 100) -> None:
    module.done = number
    batch = EffectiveBatch((), number - 1, 0.0, examples=4, target_tokens=9, tokens=tokens)
    trainer: Any = SimpleNamespace(is_global_zero=True)
    if isinstance(callback, Curve):
        callback.on_train_batch_start(trainer, module, batch, number - 1)
    callback.on_train_batch_end(trainer, module, None, batch, number - 1)


def test_a_row_a_step(tmp_path: Path, module: InstructionModule) -> None:
    curve = Curve(tmp_path / "training.jsonl", 0)
    for number in (1, 2):
        step(curve, module, number)
    rows = read_curve(tmp_path / "training.jsonl")
    assert [row["step"] for row in rows] == [1, 2]
    assert (rows[0]["loss"], rows[0]["learning_rate"]) == (2.5, 1e-3)
    assert set(rows[0]) == {"step", "loss", "learning_rate", "tokens_per_second", "seconds"}
    assert (curve.tokens, curve.examples) == (200, 8)
    assert curve.speed > 0


def test_steps_that_will_be_taken_again_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "training.jsonl"
    path.write_text(
        "".join(json.dumps({"step": number}) + "\n" for number in range(1, 6)) + '{"step": 6, "lo'
    )
    Curve(path, first_step=3)
    assert [row["step"] for row in read_curve(path)] == [1, 2, 3]
    assert path.read_text().endswith("\n")


def test_a_curve_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read_curve(tmp_path / "training.jsonl") == []


def test_other_processes_write_nothing(tmp_path: Path, module: InstructionModule) -> None:
    curve = Curve(tmp_path / "training.jsonl", 0)
    batch = EffectiveBatch((), 0, 0.0, examples=4, target_tokens=9, tokens=10)
    curve.on_train_batch_end(SimpleNamespace(is_global_zero=False), module, None, batch, 0)  # type: ignore[arg-type]
    assert read_curve(tmp_path / "training.jsonl") == []
    assert curve.tokens == 10


@pytest.mark.parametrize(("own", "counted"), [(4, 6), (2, 12), (0, 0)])
def test_padding_is_that_of_all_processes(
    tmp_path: Path, module: InstructionModule, own: int, counted: int
) -> None:
    curve = Curve(tmp_path / "training.jsonl", 0, packing=False)
    parts: Any = [SimpleNamespace(padding=6, examples=range(own))] if own else []
    batch = EffectiveBatch(tuple(parts), 0, 0.0, examples=4, target_tokens=9, tokens=100)
    curve.on_train_batch_end(SimpleNamespace(is_global_zero=False), module, None, batch, 0)  # type: ignore[arg-type]
    assert (curve.padding, curve.tokens) == (counted, 100)


def test_what_compiling_cost_is_told_once(
    tmp_path: Path, module: InstructionModule, caplog: pytest.LogCaptureFixture
) -> None:
    curve = Curve(tmp_path / "training.jsonl", 0, compiling=True)
    with caplog.at_level(logging.INFO):
        step(curve, module, 1)
        step(curve, module, 2)
    assert caplog.text.count("first step, with compiling") == 1


def shown(module: InstructionModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool) -> str:
    file = io.StringIO()
    monkeypatch.setattr(
        progress, "make_console", lambda stderr: Console(file=file, force_terminal=terminal, width=120)
    )
    curve = Curve(tmp_path / "training.jsonl", 0)
    bar = Bar(10, 0, curve)
    trainer: Any = SimpleNamespace(is_global_zero=True)
    bar.on_train_start(trainer, module)
    curve.speed = 1234.0
    step(bar, module, 4)
    bar.progress.refresh()
    bar.teardown(trainer, module, "fit")
    return file.getvalue()


def test_the_bar_tells_step_loss_and_speed(
    module: InstructionModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(module, tmp_path, monkeypatch, terminal=True)
    assert "4/10" in text
    assert "loss 2.500" in text
    assert "1,234 tokens/s" in text


def test_the_bar_is_silent_where_nobody_looks(
    module: InstructionModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown(module, tmp_path, monkeypatch, terminal=False).strip() == ""


def test_where_no_terminal_is_there_is_a_line_a_minute(
    module: InstructionModule,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    times = iter([0.0, 61.0])
    monkeypatch.setattr(progress, "ProgressLines", lambda silent: ProgressLines(lambda: next(times), silent))
    with caplog.at_level(logging.INFO):
        shown(module, tmp_path, monkeypatch, terminal=False)
    assert caplog.messages == ["train 4 of 10, loss 2.500, 1,234 tokens/s, 2 min left"]
