"""Steps whose examples share what they begin with alike, against the same steps without: `data.grouping=prefix`."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from instruct_ablate.disk.learning_curve import read_curve
from instruct_ablate.errors import Interrupted, UserError
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.model.training.fit import fit
from instruct_ablate.model.training.layers.frozen_layers import FrozenLayers
from instruct_ablate.model.training.layers.kept_states import KeptStates
from instruct_ablate.model.training.loss import packed_attention_of
from instruct_ablate.model.training.module import InstructionModule
from instruct_ablate.model.training.trainable import make_trainable
from instruct_ablate.schema import Config
from tests.model.fits import (
    changed,
    first_batch,
    gradients,
    load,
    make_config,
    make_prompts,
    same_bits,
    weights,
)
from tests.model.windows import make_windowed

LORA = {"name": "lora", "rank": 4, "alpha": 8}
# By name: the changes of `trainer` and `method`, over steps of fourteen examples of three tasks.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "one micro-batch": ({"micro_batch_tokens": 100_000}, {}),
    "each example a mean": ({"loss": "per_example"}, {}),
    "prompts count": ({"prompt_loss_weight": 0.3}, {}),
    "each a mean, prompts count": ({"loss": "per_example", "prompt_loss_weight": 1.0}, {}),
    "lora": ({"loss": "per_example"}, LORA),
    "lora, rematerialised": ({"activation_checkpointing": True}, LORA),
    "dora on top": ({"prompt_loss_weight": 0.3}, {**LORA, "dora": True, "layers": "top:1"}),
}
STATES = {"kept states": ({"loss": "per_example", "prompt_loss_weight": 0.3}, {**LORA, "layers": "top:1"})}


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


def made(cache: Path, case: str, grouping: str, name: str = "tiny_llama") -> Config:
    trainer, method = (CASES | STATES)[case]
    config = make_config(cache, name, **{"batch_size": 14, **trainer})
    return changed(config, data={"grouping": grouping}, method=method)


def step(checkpoint: Checkpoint, config: Config, kept: bool = False) -> tuple[float, Tensor, int]:
    """The loss of the first step, all its gradients in a row, and how many tokens were computed."""
    model = make_trainable(checkpoint.model, config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:  # which begin at zero, and hide the gradients of the others
                weight.normal_(std=0.02, generator=torch.Generator().manual_seed(1))
    module = InstructionModule(model, config.trainer, 10)
    module._trainer = SimpleNamespace(world_size=1)  # type: ignore[assignment]
    module.configure_optimizers()
    batch = first_batch(checkpoint, config)
    with packed_attention_of(model):
        module.losses.kept = KeptStates(FrozenLayers.of(model), None, 16) if kept else None  # type: ignore[arg-type]
        loss = module.alone(batch)
    found = gradients(module.losses.model)
    row = torch.cat([found[name].flatten() for name in sorted(found)])
    return loss, row, sum(part.tokens for part in batch.micro_batches)


@pytest.mark.parametrize("case", CASES | STATES)
@pytest.mark.parametrize("name", ["tiny_llama", "tiny_gemma3"])
def test_loss_and_gradients_are_those_of_steps_that_share_nothing(name: str, case: str, cache: Path) -> None:
    plain, shared = (made(cache, case, grouping, name) for grouping in ("none", "prefix"))
    wanted, slopes, every = step(load(plain), plain)
    given, found, computed = step(load(shared), shared, kept=case in STATES)
    assert computed < 0.8 * every
    assert given == pytest.approx(wanted, rel=1e-6)
    assert float((found - slopes).norm()) <= 1e-6 * float(slopes.norm())


@pytest.mark.parametrize("kind", ["mistral", "gemma2"])
def test_windows_that_end_within_a_shared_beginning_see_as_far(kind: str, cache: Path) -> None:
    plain, shared = (made(cache, "prompts count", grouping) for grouping in ("none", "prefix"))
    wanted, slopes, every = step(make_windowed(kind, cache), plain)
    given, found, computed = step(make_windowed(kind, cache), shared)
    assert computed < 0.8 * every
    assert given == pytest.approx(wanted, rel=1e-6)
    assert float((found - slopes).norm()) <= 2e-6 * float(slopes.norm())


def train(config: Config, folder: Path, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    checkpoint = load(config, dtype)
    fit(checkpoint, make_prompts(), config, folder)
    return weights(checkpoint)


def test_a_fit_counts_and_learns_what_one_does_that_shares_nothing(cache: Path, tmp_path: Path) -> None:
    costs, curves = [], []
    for grouping in ("none", "prefix"):
        config = changed(make_config(cache, learning_rate=1e-3), data={"grouping": grouping})
        cost, _ = fit(load(config), make_prompts(), config, tmp_path / grouping)
        costs.append((cost.train_tokens, cost.train_examples, cost.train_steps))
        curves.append([row["loss"] for row in read_curve(tmp_path / grouping / "training.jsonl")])
    assert costs[0] == costs[1]
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)


def test_stopped_over_kept_states_it_ends_with_the_same_bits(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = changed(made(cache, "kept states", "prefix"), trainer={"batch_size": 5})
    whole = train(config, tmp_path / "whole", torch.bfloat16)
    original = InstructionModule._step

    def interrupted(self: InstructionModule) -> None:
        original(self)
        if self.done == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(InstructionModule, "_step", interrupted)
        with pytest.raises(Interrupted, match="after step 2 of"):
            train(config, tmp_path / "stopped", torch.bfloat16)
    assert same_bits(train(config, tmp_path / "stopped", torch.bfloat16), whole)


def test_an_encoder_is_refused_before_it_trains(cache: Path, tmp_path: Path) -> None:
    config = changed(make_config(cache, "tiny_t5"), data={"grouping": "prefix"})
    with pytest.raises(UserError, match=r"data\.grouping=prefix: an encoder looks both ways"):
        fit(load(config), make_prompts(), config, tmp_path)
