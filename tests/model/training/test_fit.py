from __future__ import annotations

import gc
import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytorch_lightning.loggers import CSVLogger

from instruct_ablate.cost import Cost
from instruct_ablate.disk.learning_curve import read_curve
from instruct_ablate.errors import Interrupted, UserError
from instruct_ablate.model.training import fit as fitting
from instruct_ablate.model.training.fit import AdaptersMasks, fit
from instruct_ablate.model.training.module import InstructionModule
from instruct_ablate.model.training.resume import training_state
from instruct_ablate.schema import Config, TrainerConfig
from tests.model.fits import NAMES, changed, load, make_config, make_prompts, same_bits, weights

Bits = dict[str, torch.Tensor]


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


def train(config: Config, folder: Path, dtype: torch.dtype = torch.float32, **more: Any) -> tuple[Bits, Cost]:
    checkpoint = load(config, dtype)
    cost, _ = fit(checkpoint, make_prompts(), config, folder, **more)
    return weights(checkpoint), cost


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Send this process a signal in the middle of a step."""
    original = InstructionModule._step

    def arrange(step: int) -> None:
        def interrupted(self: InstructionModule) -> None:
            original(self)
            if self.done + 1 == step:
                os.kill(os.getpid(), signal.SIGTERM)

        monkeypatch.setattr(InstructionModule, "_step", interrupted)

    return arrange


@pytest.mark.parametrize("name", NAMES)
def test_a_fit_learns_and_tells_what_it_cost(name: str, cache: Path, tmp_path: Path) -> None:
    config = make_config(cache, name, epochs=8.0)
    before = weights(load(config))
    trained, cost = train(config, tmp_path)
    rows = read_curve(tmp_path / "training.jsonl")
    assert [row["step"] for row in rows] == list(range(1, 25))  # 14 examples by 5: 3 steps an epoch
    assert rows[-1]["loss"] < rows[0]["loss"] / 2
    assert (cost.train_steps, cost.train_examples) == (24, 8 * 14)
    assert cost.train_tokens > 8 * 14 * 30
    assert cost.train_seconds > 0
    assert cost.prepare_seconds > 0
    assert not same_bits(before, trained)


def test_the_model_is_left_ready_to_answer(cache: Path, tmp_path: Path) -> None:
    checkpoint = load(make_config(cache), torch.bfloat16)
    attention = checkpoint.model.config._attn_implementation
    fit(checkpoint, make_prompts(), make_config(cache, max_steps=1), tmp_path)
    assert not checkpoint.model.training
    assert checkpoint.model.config._attn_implementation == attention
    assert checkpoint.model.config.use_cache
    assert all(weight.grad is None for weight in checkpoint.model.parameters())
    assert {weight.dtype for weight in checkpoint.model.parameters()} == {torch.bfloat16}


def test_the_same_fit_gives_the_same_bits(cache: Path, tmp_path: Path) -> None:
    config = make_config(cache)
    assert same_bits(train(config, tmp_path / "one")[0], train(config, tmp_path / "other")[0])
    other = replace(config, seed=1)
    assert not same_bits(train(config, tmp_path / "one")[0], train(other, tmp_path / "third")[0])


@pytest.mark.parametrize(
    ("name", "method", "dtype"),
    [
        ("tiny_llama", "full", torch.float32),
        ("tiny_llama", "lora", torch.bfloat16),
        ("tiny_llama", "dora", torch.bfloat16),
        ("tiny_t5", "full", torch.bfloat16),
        ("tiny_t5", "lora", torch.float32),
    ],
)
def test_a_fit_stopped_twice_ends_with_the_same_bits(
    name: str, method: str, dtype: torch.dtype, cache: Path, tmp_path: Path, stop_after: Callable[[int], None]
) -> None:
    config = changed(
        make_config(cache, name),
        method={"name": "lora", "dora": True} if method == "dora" else {"name": method},
    )
    wanted, cost = train(config, tmp_path / "whole", dtype)
    for step in (3, 4):
        stop_after(step)
        with pytest.raises(Interrupted, match=f"after step {step} of 6"):
            train(config, tmp_path / "parts", dtype)
    stop_after(0)
    given, summed = train(config, tmp_path / "parts", dtype)
    assert same_bits(given, wanted)
    assert (summed.train_tokens, summed.train_examples) == (cost.train_tokens, cost.train_examples)
    curves = [read_curve(tmp_path / part / "training.jsonl") for part in ("whole", "parts")]
    assert [(row["step"], row["loss"]) for row in curves[0]] == [
        (row["step"], row["loss"]) for row in curves[1]
    ]


@pytest.mark.parametrize(("method", "rate"), [("full", 1e-3), ("lora", 1e-2)])
def test_the_curve_shows_the_rate_that_the_optimiser_had(
    method: str, rate: float, cache: Path, tmp_path: Path
) -> None:
    config = make_config(cache, learning_rate=1e-3, max_steps=1)
    config = changed(config, method={"name": method, "rank": 2, "learning_rate_factor": 10.0})
    train(config, tmp_path)
    assert [row["learning_rate"] for row in read_curve(tmp_path / "training.jsonl")] == [rate]


def test_dora_trains_alike_grouped_and_padded(cache: Path, tmp_path: Path) -> None:
    method = {"name": "lora", "rank": 2, "dora": True}
    base = changed(make_config(cache, optimizer="adafactor", learning_rate=1e-3, max_steps=2), method=method)
    packed, _ = train(base, tmp_path / "packed")
    padded, _ = train(changed(base, data={"packing": False}), tmp_path / "padded")
    for key, weight in padded.items():
        torch.testing.assert_close(weight, packed[key], rtol=1e-3, atol=2e-4)


def test_dropout_goes_on_with_the_same_masks(
    cache: Path, tmp_path: Path, stop_after: Callable[[int], None]
) -> None:
    config = make_config(cache, dropout=0.2, max_steps=3)
    wanted, _ = train(config, tmp_path / "whole")
    stop_after(2)
    with pytest.raises(Interrupted, match="after step 2 of 3"):
        train(config, tmp_path / "parts")
    stop_after(0)
    assert same_bits(train(config, tmp_path / "parts")[0], wanted)


def test_masks_of_adapters_are_the_seeds_own(cache: Path, tmp_path: Path) -> None:
    """PyTorch's generators, which draw them, begin anywhere in each process."""
    config = changed(make_config(cache, max_steps=2), method={"name": "lora", "rank": 2, "dropout": 0.3})
    found = []
    for place in range(2):
        torch.manual_seed(place)
        train(config, tmp_path / str(place))
        found.append([row["loss"] for row in read_curve(tmp_path / str(place) / "training.jsonl")])
    assert found[0] == found[1]


def test_masks_of_adapters_go_on_whatever_generators_a_checkpoint_holds(
    cache: Path, tmp_path: Path, stop_after: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the first process's: a further one went on with that one's masks, as another GPU did with its own."""
    config = changed(make_config(cache, max_steps=3), method={"name": "lora", "rank": 2, "dropout": 0.3})
    wanted, _ = train(config, tmp_path / "whole")
    stop_after(2)
    with pytest.raises(Interrupted):
        train(config, tmp_path / "parts")
    stop_after(0)
    monkeypatch.setattr("instruct_ablate.model.training.module.set_random_state", lambda state: None)
    assert same_bits(train(config, tmp_path / "parts")[0], wanted)


def test_processes_draw_masks_of_their_own(cache: Path) -> None:
    module, masks = InstructionModule(load(make_config(cache)).model, TrainerConfig(), 3), AdaptersMasks(0)

    def drawn(rank: int, done: int) -> float:
        module.done = done
        masks.on_train_batch_start(SimpleNamespace(global_rank=rank), module, Any, 0)  # type: ignore[arg-type]
        return float(torch.rand(()))

    places = [(rank, done) for rank in range(2) for done in range(2)]
    assert len({drawn(*place) for place in places}) == 4
    assert drawn(1, 1) == drawn(1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_dropout_is_the_same_however_a_step_is_divided(name: str, cache: Path, tmp_path: Path) -> None:
    config = make_config(cache, name, dropout=0.2, learning_rate=1e-3, max_steps=3)
    wanted, _ = train(config, tmp_path / "whole")
    without, _ = train(changed(config, trainer={"dropout": 0.0}), tmp_path / "without")
    for place, changes in enumerate(({"micro_batch_tokens": 90}, {"activation_checkpointing": True})):
        other, _ = train(changed(config, trainer=changes), tmp_path / str(place))
        for key, weight in other.items():
            torch.testing.assert_close(weight, wanted[key], rtol=1e-3, atol=2e-4)
    assert max((without[key] - wanted[key]).abs().max() for key in wanted) > 1e-3


def test_a_cut_checkpoint_falls_back_and_still_ends_with_the_same_bits(
    cache: Path, tmp_path: Path, stop_after: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(cache)
    wanted, _ = train(config, tmp_path / "whole")
    stop_after(5)
    with pytest.raises(Interrupted):
        train(config, tmp_path / "parts")
    stop_after(0)
    newest = training_state.steps(tmp_path / "parts" / "checkpoints")[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    with caplog.at_level(logging.INFO):
        given, _ = train(config, tmp_path / "parts")
    assert same_bits(given, wanted)
    assert "step-00000005.ckpt is damaged" in caplog.text
    assert "going on after step 4 of 6" in caplog.text


def test_a_finished_fit_is_not_done_again(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = changed(make_config(cache), method={"name": "lora"})
    wanted, cost = train(config, tmp_path)
    monkeypatch.setattr(InstructionModule, "training_step", lambda *_: pytest.fail("trained again"))
    given, again = train(config, tmp_path)
    assert same_bits(given, wanted)
    assert again.train_tokens == cost.train_tokens


def test_signals_and_memory_are_given_back(
    cache: Path, tmp_path: Path, stop_after: Callable[[int], None]
) -> None:
    numbers = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    stop_after(3)
    with pytest.raises(Interrupted):
        train(make_config(cache), tmp_path)
    assert [signal.getsignal(number) for number in numbers] == before
    stop_after(0)
    train(make_config(cache), tmp_path)
    assert [signal.getsignal(number) for number in numbers] == before
    # Masters and optimiser states are three times a model's size: none may outlive its fit.
    gc.collect()
    assert not [thing for thing in gc.get_objects() if type(thing) is InstructionModule]


def test_another_order_of_examples_is_refused(
    cache: Path, tmp_path: Path, stop_after: Callable[[int], None]
) -> None:
    stop_after(3)
    with pytest.raises(Interrupted):
        train(make_config(cache), tmp_path)
    stop_after(0)
    with pytest.raises(UserError, match="another order of examples"):
        train(make_config(cache, batch_size=4), tmp_path)


def test_frozen_weights_are_neither_changed_nor_given_gradients(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = changed(make_config(cache), method={"name": "lora", "target_modules": ["q_proj"]})
    original, found = InstructionModule._step, []

    def watch(self: InstructionModule) -> None:
        found.extend(weight.grad for weight in self.losses.parameters() if not weight.requires_grad)
        original(self)

    monkeypatch.setattr(InstructionModule, "_step", watch)
    before = weights(load(config))
    trained, _ = train(config, tmp_path)
    assert found
    assert all(gradient is None for gradient in found)
    touched = {name for name in before if not torch.equal(before[name], trained[name])}
    assert touched == {f"model.layers.{layer}.self_attn.q_proj.weight" for layer in (0, 1)}


@pytest.mark.parametrize("name", NAMES)
def test_options_that_change_the_way_but_not_the_result(name: str, cache: Path, tmp_path: Path) -> None:
    # Adafactor and a small rate: the order of additions must not grow into a difference.
    base = make_config(cache, name, optimizer="adafactor", learning_rate=1e-3)
    wanted, _ = train(base, tmp_path / "base")
    for number, config in enumerate(
        [
            changed(base, trainer={"activation_checkpointing": True}),
            changed(base, trainer={"micro_batch_tokens": 10_000}),
            changed(base, data={"packing": False}),
            changed(base, data={"num_workers": 1}),
        ]
    ):
        given, _ = train(config, tmp_path / str(number))
        for weight, tensor in wanted.items():
            torch.testing.assert_close(given[weight], tensor, rtol=1e-3, atol=3e-4)


def test_loggers_are_told_every_step(cache: Path, tmp_path: Path) -> None:
    logger = CSVLogger(str(tmp_path), name="csv", version="one")
    train(make_config(cache), tmp_path / "fit", loggers=[logger])
    lines = (tmp_path / "csv" / "one" / "metrics.csv").read_text().splitlines()
    assert {f"train/{name}" for name in ("loss", "learning_rate", "grad_norm", "tokens_per_second")} <= set(
        lines[0].split(",")
    )
    assert len(lines) >= 7


def test_a_full_disk_is_told(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="free some space"):
        train(make_config(cache), tmp_path)


KILLED = """
import sys, time, torch
from pathlib import Path
from instruct_ablate.model.training.fit import AdaptersMasks, fit
from instruct_ablate.model.training.resume.best_weights import Choice
from instruct_ablate.model.training.resume.points import Plan
from tests.model.fits import load, make_config, make_prompts

folder, cache, name, selects = sys.argv[1:]
torch.set_num_threads(1)
config = make_config(Path(cache), name, epochs=6.0, checkpoint_every_steps=1)
checkpoint = load(config)
# a step takes its time on any machine, so that a signal finds the process still at work
checkpoint.model.register_forward_hook(lambda *_: time.sleep(0.05))
plan = None
if selects == "selects":  # a best at step 12 of 18, an earlier one at 4, and an end at 16
    scores = {step: 50.0 - abs(step - 12) + 3 * (step == 4) for step in range(0, 19, 2)}
    plan = Plan(scores, lambda step: {"m": scores[step]}, Choice(patience=2), "m")
fit(checkpoint, make_prompts(), config, Path(folder), (), plan)
torch.save(checkpoint.model.state_dict(), Path(folder) / "final.pt")
"""


def start(folder: Path, cache: Path, name: str, selects: str) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    (folder / "run.py").write_text(KILLED)
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'src'}"}
    command = [sys.executable, str(folder / "run.py"), str(folder), str(cache), name, selects]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "selects", "steps"), [*((name, "plain", 18) for name in NAMES), ("tiny_llama", "selects", 16)]
)
def test_killed_at_any_moment_it_ends_with_the_same_bits(
    name: str, selects: str, steps: int, tmp_path: Path
) -> None:
    assert start(tmp_path / "whole", tmp_path / "cache", name, selects).wait(500) == 0
    chance, folder, kills = random.Random(0), tmp_path / "parts", 0
    while not (folder / "final.pt").exists():
        process = start(folder, tmp_path / "cache", name, selects)
        begun = len(read_curve(folder / "training.jsonl")) if (folder / "training.jsonl").exists() else 0
        while process.poll() is None and len(read_curve(folder / "training.jsonl")) in (begun, 0):
            time.sleep(0.01)
        time.sleep(chance.random() * 0.15)
        if kills < 5 and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        assert process.wait(500) in (0, -signal.SIGKILL)
    assert kills >= 2
    one, other = (torch.load(tmp_path / part / "final.pt", weights_only=True) for part in ("whole", "parts"))
    assert same_bits(one, other)
    rows = [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, steps + 1))


def test_padding_is_counted_across_a_resume(
    cache: Path, tmp_path: Path, stop_after: Callable[[int], None]
) -> None:
    config = changed(make_config(cache), data={"packing": False})
    _, whole = train(config, tmp_path / "whole")
    assert 0.02 < whole.padding_share < 0.9
    stop_after(3)
    with pytest.raises(Interrupted):
        train(config, tmp_path / "parts")
    stop_after(0)
    assert train(config, tmp_path / "parts")[1].padding_share == pytest.approx(whole.padding_share)
    assert train(make_config(cache), tmp_path / "packed")[1].padding_share == 0


def test_lightning_is_quiet_until_the_last_of_cells_side_by_side_has_ended() -> None:
    """Each said that its `Trainer.fit` had stopped, but the first; and all was quiet for ever after."""
    logger = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    before, filters = logger.level, list(warnings.filters)
    first, second = fitting.quiet_lightning(), fitting.quiet_lightning()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not logger.isEnabledFor(logging.INFO)
    second.__exit__(None, None, None)
    assert (logger.level, list(warnings.filters)) == (before, filters)
