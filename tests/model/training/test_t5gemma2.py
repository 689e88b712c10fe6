"""T5Gemma 2 in training: its encoder of pictures stays as it is; dropout, bf16, checkpointing and top layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instruct_ablate.errors import Interrupted
from instruct_ablate.model.adapters import of_pictures
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.model.loading.parameter_count import parameters, trainable_parameters
from instruct_ablate.model.training import trainable
from instruct_ablate.model.training.fit import fit
from instruct_ablate.model.training.layers.dropout import Dropout
from instruct_ablate.model.training.loss import TokenLosses, packed_attention_of, token_losses
from instruct_ablate.model.training.module import InstructionModule
from instruct_ablate.model.training.packable import trains
from instruct_ablate.model.training.resume import training_state
from instruct_ablate.model.training.trainable import make_trainable
from instruct_ablate.schema import Config, MethodConfig
from tests.model.fits import (
    changed,
    dropping_sites,
    first_batch,
    gradients,
    load,
    make_config,
    make_prompts,
    make_store,
    same_bits,
    weights,
)

NAME = "tiny_t5gemma2"
PICTURES = ("vision_tower", "multi_modal_projector")


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


def trained(config: Config, folder: Path, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    checkpoint = load(config, dtype)
    fit(checkpoint, make_prompts(), config, folder)
    return weights(checkpoint)


def reads_pictures(name: str) -> bool:
    return any(part in name for part in PICTURES)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_reads_pictures_stays_and_takes_no_memory(
    dtype: torch.dtype, cache: Path, tmp_path: Path
) -> None:
    config = make_config(cache, NAME, max_steps=2, weight_decay=0.1)
    before = load(config, dtype)
    after = trained(config, tmp_path, dtype)
    at_first = weights(before)
    assert after.keys() == at_first.keys()
    moved = {name for name in after if not torch.equal(after[name], at_first[name])}
    assert not [name for name in moved if reads_pictures(name)]
    assert [name for name in moved if "encoder.text_model.layers.0" in name]
    assert [name for name in moved if "decoder.layers.0" in name]
    read = [weight for name, weight in before.model.named_parameters() if not reads_pictures(name)]
    kept = training_state.read(tmp_path / "checkpoints" / training_state.TRAINED)
    assert kept is not None
    assert [one.shape for one in kept["masters"]] == [one.shape for one in read]


def test_they_are_counted_as_held_alone(cache: Path) -> None:
    config = make_config(cache, NAME)
    every = {name: weight.numel() for name, weight in load(config).model.named_parameters()}
    pictures = sum(size for name, size in every.items() if reads_pictures(name))
    assert pictures > 0
    assert parameters(config.model, cache) == sum(every.values())
    full = trainable_parameters(config.model, MethodConfig("full"), cache)
    assert full == sum(every.values()) - pictures
    model = make_trainable(load(config).model, config)
    assert full == sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def test_a_model_without_pictures_is_trained_whole(cache: Path) -> None:
    config = make_config(cache, "tiny_t5")
    assert not of_pictures(load(config).model)
    assert parameters(config.model, cache) == trainable_parameters(config.model, MethodConfig("full"), cache)


def test_gemma_3_that_reads_pictures_leaves_them_too() -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    from instruct_ablate.model.loading.tiny_families import GEMMA
    from instruct_ablate.model.loading.tiny_families import PICTURES as SIGLIP

    text = {**GEMMA, "vocab_size": 300}
    shape = {"text_config": text, "vision_config": SIGLIP, "mm_tokens_per_image": 4}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("gemma3", **shape))
    assert of_pictures(model) == ["model.vision_tower", "model.multi_modal_projector"]
    assert trains(model, packing=True)
    model = make_trainable(model, Config(method=MethodConfig("full")))
    frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if reads_pictures(name)}


@pytest.fixture
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Train all weights, as earlier versions did."""
    with monkeypatch.context() as patch:
        patch.setattr(trainable, "reads_text", lambda model: dict(model.named_parameters()))
        yield patch


def test_what_earlier_versions_began_and_kept_goes_on(
    cache: Path, tmp_path: Path, as_before: pytest.MonkeyPatch
) -> None:
    config = make_config(cache, NAME, max_steps=4, checkpoint_every_steps=2)
    step = InstructionModule._step

    def stops(self: InstructionModule) -> None:
        step(self)
        if self.done + 1 == 2:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGTERM)

    as_before.setattr(InstructionModule, "_step", stops)
    with pytest.raises(Interrupted, match="after step 2 of 4"):
        trained(config, tmp_path / "parts")
    as_before.setattr(InstructionModule, "_step", step)
    whole = trained(config, tmp_path / "before")
    old = training_state.read(tmp_path / "before" / "checkpoints" / training_state.TRAINED)
    as_before.undo()
    assert old is not None
    assert len(old["masters"]) == len(list(load(config).model.parameters()))
    assert same_bits(trained(config, tmp_path / "now"), whole), "leaving them out changes no other weight"
    assert same_bits(trained(config, tmp_path / "parts"), whole)
    model = make_trainable(load(config).model, config)
    trainable.set_weights(model, old["masters"])
    assert same_bits({name: one.clone() for name, one in model.state_dict().items()}, whole)


def by_itself(checkpoint: Checkpoint, source: Tensor, target: Tensor) -> Tensor:
    """Return the losses of target tokens by transformers' own forward pass."""
    model: Any = checkpoint.model
    before = torch.cat([target.new_tensor([checkpoint.start_token]), target[:-1]])
    logits = model(input_ids=source[None], decoder_input_ids=before[None]).logits[0]
    return F.cross_entropy(logits.float(), target, reduction="none")


def theirs(checkpoint: Checkpoint, config: Config) -> tuple[Tensor, dict[str, Tensor]]:
    """Return losses and gradients of all examples, one at a time, by transformers."""
    store = make_store(checkpoint, config)
    losses = []
    for example in range(len(store)):
        source, target = (
            torch.tensor(ids[example].astype("int64")) for ids in (store.sources, store.targets)
        )
        losses.append(by_itself(checkpoint, source, target))
    torch.cat(losses).sum().backward()
    return torch.cat(losses).detach(), gradients(checkpoint.model)


def ours(
    checkpoint: Checkpoint, config: Config, dropout: Dropout | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the same from packed micro-batches."""
    found: dict[int, Tensor] = {}
    with packed_attention_of(checkpoint.model, dropout=dropout):
        module = TokenLosses(checkpoint.model, dropout=dropout)
        for part in first_batch(checkpoint, config).micro_batches:
            losses = module(part, 3)
            losses.sum().backward()
            found |= {one: losses[part.owners == n].detach() for n, one in enumerate(part.examples.tolist())}
    return torch.cat([found[example] for example in sorted(found)]), gradients(checkpoint.model)


def apart(given: dict[str, Tensor], wanted: dict[str, Tensor]) -> float:
    """Return the greatest difference of a gradient, relative to its largest entry or a hundredth of the largest."""
    assert given.keys() == wanted.keys()
    least = 0.01 * max(float(one.abs().max()) for one in wanted.values())
    return max(
        float((given[name] - one).float().abs().max()) / max(float(one.abs().max()), least)
        for name, one in wanted.items()
    )


def prepared(cache: Path, dtype: torch.dtype = torch.float32, **more: Any) -> tuple[Checkpoint, Config]:
    method = more.pop("method", MethodConfig("full"))
    config = replace(make_config(cache, NAME, batch_size=14, **more), method=method)
    checkpoint = load(config, dtype)
    model = make_trainable(checkpoint.model, config)
    torch.manual_seed(1)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data += 0.1 * torch.randn_like(weight)
    return replace(checkpoint, model=model), config


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(
    "method",
    [
        MethodConfig("full"),
        MethodConfig("lora", rank=2, alpha=4),
        MethodConfig("lora", rank=2, alpha=4, layers="top:1"),
        MethodConfig("lora", rank=2, alpha=4, layers="top:2", dora=True),
    ],
    ids=["full", "lora", "top 1", "top 2, dora"],
)
def test_losses_and_gradients_are_transformers_own(
    method: MethodConfig, checkpointing: bool, cache: Path
) -> None:
    checkpoint, config = prepared(cache, method=method, activation_checkpointing=checkpointing)
    given, wanted = ours(checkpoint, config), theirs(checkpoint, config)
    torch.testing.assert_close(given[0], wanted[0], rtol=1e-5, atol=1e-5)
    assert not [name for name in given[1] if reads_pictures(name)]
    if method.layers != "all":
        assert {name.split("decoder.layers.")[1][0] for name in given[1]} == set(
            "012"[-int(method.layers[-1]) :]
        )
    assert apart(given[1], wanted[1]) < 2e-5


def test_bf16_is_no_further_from_fp32_than_transformers_own(cache: Path) -> None:
    exact = theirs(*prepared(cache))
    checkpoint, config = prepared(cache, torch.bfloat16)
    mine, plain = ours(checkpoint, config), theirs(checkpoint, config)
    wrong = [float((losses - exact[0]).abs().mean()) for losses, _ in (mine, plain)]
    assert 0 < wrong[0] < 1.2 * wrong[1]
    slopes = [apart({n: g.float() for n, g in found.items()}, exact[1]) for _, found in (mine, plain)]
    assert slopes[0] < 1.2 * slopes[1]


def test_dropout_does_not_depend_on_company_or_checkpointing(cache: Path) -> None:
    results = []
    for more in ({}, {"micro_batch_tokens": 90}, {"activation_checkpointing": True}):
        checkpoint, config = prepared(cache, **more)
        results.append(ours(checkpoint, config, Dropout(0.2, 0)))
    checkpoint, config = prepared(cache)
    without = ours(checkpoint, config)
    assert not torch.allclose(without[0], results[0][0], rtol=1e-3)
    for losses, slopes in results[1:]:
        torch.testing.assert_close(losses, results[0][0], rtol=1e-4, atol=1e-4)
        assert apart(slopes, results[0][1]) < 1e-3


def test_every_dropout_of_its_own_drops_and_all_attention_weights(cache: Path) -> None:
    checkpoint, config = prepared(cache)
    seen = dropping_sites(checkpoint, config)
    own = [name for name, part in checkpoint.model.named_modules() if isinstance(part, nn.Dropout)]
    attentions = [name for name, _ in checkpoint.model.named_modules() if name.endswith(".self_attn")]
    passed = [name for name in (*own, *attentions) if not reads_pictures(name)]
    assert set(seen) == set(passed)
    assert len(attentions) > len([name for name in attentions if reads_pictures(name)])


def test_masks_keep_the_mean(cache: Path) -> None:
    """Many masks on average give about what none give: what is kept is scaled, and nothing is dropped twice."""
    checkpoint, config = prepared(cache)
    batch = first_batch(checkpoint, config).micro_batches[0]
    with torch.no_grad(), packed_attention_of(checkpoint.model):
        plain = token_losses(checkpoint.model, batch).mean()
    dropout, sums = Dropout(0.02, 0), []
    with torch.no_grad(), packed_attention_of(checkpoint.model, dropout=dropout):
        module = TokenLosses(checkpoint.model, dropout=dropout)
        sums = [float(module(batch, step).mean()) for step in range(20)]
    assert sum(sums) / len(sums) == pytest.approx(float(plain), rel=0.02)
    assert len(set(sums)) == len(sums)


def test_a_fit_with_all_of_it_ends_with_the_same_bits_however_it_is_stopped(
    cache: Path, tmp_path: Path
) -> None:
    config = changed(
        make_config(cache, NAME, max_steps=3, dropout=0.1, activation_checkpointing=True),
        method={"name": "lora", "layers": "top:1", "rank": 2},
    )
    one, other = (trained(config, tmp_path / name, torch.bfloat16) for name in ("one", "other"))
    assert same_bits(one, other)
    at_first = weights(load(config, torch.bfloat16))
    moved = {name for name in one if not torch.equal(one[name], at_first[name])}
    assert moved
    assert all("decoder.layers.2." in name for name in moved)
