from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from instruct_ablate.data.micro_batch import EffectiveBatch
from instruct_ablate.disk.learning_curve import LOGGED
from instruct_ablate.errors import UserError
from instruct_ablate.model.training.loss import packed_attention_of, token_losses
from instruct_ablate.model.training.module import FP16_SCALE, InstructionModule, idle_batch, set_random_state
from instruct_ablate.schema import Config
from tests.model.fits import (
    NAMES,
    changed,
    first_batch,
    gradients,
    load,
    make_config,
    make_store,
    plain_losses,
)


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


def make_module(config: Config, dtype: torch.dtype = torch.float32, steps: int = 10) -> InstructionModule:
    """A module as Lightning's trainer leaves it before the first step."""
    module = InstructionModule(load(config, dtype).model, config.trainer, steps)
    module._trainer = SimpleNamespace(world_size=1)  # type: ignore[assignment]
    module.log_dict = lambda *_, **__: None  # type: ignore[assignment,method-assign]
    optimizer = module.configure_optimizers()
    module.optimizers = lambda *_: optimizer  # type: ignore[assignment,method-assign]
    return module


def take(module: InstructionModule, batch: EffectiveBatch, steps: int = 1) -> list[float]:
    found = []
    with packed_attention_of(module.losses.model):
        for index in range(steps):
            module.training_step(batch, index)
            found.append(module.loss)
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("grouping", ["none", "task"])
def test_a_step_does_not_depend_on_micro_batches(name: str, grouping: str, cache: Path) -> None:
    results = []
    for tokens in (100, 100_000):
        config = changed(
            make_config(cache, name, batch_size=14, micro_batch_tokens=tokens), data={"grouping": grouping}
        )
        batch, module = first_batch(load(config), config), make_module(config)
        results.append((len(batch.micro_batches), take(module, batch, 2), module._weights.masters))
    (many, losses, masters), (one, other_losses, other_masters) = results
    assert (many > 5, one) == (True, 1)
    assert losses == pytest.approx(other_losses, rel=1e-5)
    for master, other in zip(masters, other_masters, strict=True):
        torch.testing.assert_close(master, other, rtol=1e-3, atol=1e-4)


def test_the_loss_is_the_mean_over_all_target_tokens(cache: Path) -> None:
    config = make_config(cache, batch_size=14)
    batch, module = first_batch(load(config), config), make_module(config)
    with torch.no_grad(), packed_attention_of(module.losses.model):
        every = torch.cat([token_losses(module.losses.model, part) for part in batch.micro_batches])
    assert len(every) == batch.target_tokens
    assert take(module, batch)[0] == pytest.approx(float(every.mean()), rel=1e-5)


def test_training_goes_down_and_gradients_are_clipped(cache: Path) -> None:
    config = make_config(cache, batch_size=14, gradient_clip=1e-9, optimizer="adafactor")
    batch = first_batch(load(config), config)
    losses = take(make_module(config), batch, 6)
    assert losses[-1] < losses[0] / 2
    module = make_module(make_config(cache, batch_size=14, gradient_clip=1e-3))
    norms: list[float] = []
    module._optimizer.register_step_pre_hook(
        lambda *_: norms.append(float(sum(m.grad.square().sum() for m in module._weights.masters).sqrt()))  # type: ignore[union-attr]
    )
    take(module, batch)
    assert norms == pytest.approx([1e-3], rel=1e-3)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_training(value: float, cache: Path) -> None:
    config = make_config(cache, batch_size=14, learning_rate=0.25)
    module, batch = make_module(config), first_batch(load(config), config)
    take(module, batch)
    with torch.no_grad():
        module.losses.model.lm_head.weight[:] = value
    with pytest.raises(UserError, match=r"step 2 of 10 \(learning rate 0.25\).*trainer.learning_rate"):
        take(module, batch)
    assert module.done == 1


@pytest.mark.parametrize(
    ("dtype", "clip", "advice"),
    [
        (torch.float32, 1.0, "Try a lower trainer.learning_rate or trainer.warmup_steps."),
        (torch.bfloat16, None, "trainer.warmup_steps, trainer.gradient_clip=1 or trainer.precision=fp32."),
    ],
)
def test_a_lost_loss_advises_nothing_that_is_so_already(
    dtype: torch.dtype, clip: float | None, advice: str, cache: Path
) -> None:
    """Before: trainer.precision=fp32 was advised to who trained in fp32, and clipping to nobody."""
    config = make_config(cache, batch_size=14, gradient_clip=clip)
    module, batch = make_module(config, dtype), first_batch(load(config), config)
    with torch.no_grad():
        module.losses.model.lm_head.weight[:] = math.nan
    with pytest.raises(UserError, match=advice):
        take(module, batch)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "settings", [{}, {"optimizer": "adafactor", "schedule": "linear", "warmup_steps": 2}]
)
def test_a_restored_module_takes_the_same_next_step(name: str, settings: dict[str, Any], cache: Path) -> None:
    config = make_config(cache, name, batch_size=14, **settings)
    batch, module = first_batch(load(config), config), make_module(config, torch.bfloat16)
    take(module, batch, 2)
    saved = torch.load(_saved(module.state(), cache), weights_only=True)
    take(module, batch, 2)
    other = make_module(config, torch.bfloat16)
    other.restore(saved)
    assert other.done == 2
    take(other, batch, 2)
    assert (other.loss, other.rate) == (module.loss, module.rate)
    for master, same in zip(module._weights.masters, other._weights.masters, strict=True):
        assert torch.equal(master, same)


def _saved(state: dict[str, Any], folder: Path) -> Path:
    torch.save(state, folder / "state.pt")
    return folder / "state.pt"


def test_random_numbers_go_on_too(cache: Path) -> None:
    module = make_module(make_config(cache))
    saved = module.state()
    drawn = torch.rand(3)
    module.restore(saved)
    assert torch.equal(torch.rand(3), drawn)


def test_bf16_learns_as_fp32_does(cache: Path) -> None:
    config = make_config(cache, batch_size=14, learning_rate=2e-3)
    batch = first_batch(load(config), config)
    exact, low = (take(make_module(config, dtype), batch, 12) for dtype in (torch.float32, torch.bfloat16))
    assert exact[-1] < 0.7 * exact[0]
    assert low == pytest.approx(exact, rel=0.02)


def test_fp16_halves_its_scale_where_gradients_overflow(cache: Path) -> None:
    config = make_config(cache, batch_size=14, learning_rate=2e-3)
    batch, module = first_batch(load(config), config), make_module(config, torch.float16)
    assert module.scale == FP16_SCALE
    module.scale = 2.0**24
    losses = take(module, batch, 8)
    assert module.scale < 2.0**24
    exact = take(make_module(config), batch, 8)
    assert losses == pytest.approx(exact, rel=0.02)
    assert module.state()["scale"] == module.scale


@pytest.mark.parametrize("name", NAMES)
def test_the_idle_batch_passes_through_the_model(name: str, cache: Path) -> None:
    model = load(make_config(cache, name)).model
    with packed_attention_of(model):
        assert token_losses(model, idle_batch(name == "tiny_t5")).shape == (1,)


def test_processes_with_fewer_micro_batches_go_along(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(cache, batch_size=14)
    batch, module = first_batch(load(config), config), make_module(config)

    def most(tensor: torch.Tensor, _: Any) -> None:
        tensor.fill_(5)

    monkeypatch.setattr(torch.distributed, "all_reduce", most)
    rounds = module._rounds(batch, sharded=True)
    own = len(batch.micro_batches)
    assert [counts for _, counts in rounds] == [1.0] * own + [0.0] * (5 - own)
    empty = module._rounds(replace(batch, micro_batches=()), sharded=True)
    assert [counts for _, counts in empty] == [0.0] * 5
    assert [counts for _, counts in module._rounds(batch, sharded=False)] == [1.0] * own


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tokens", [100, 100_000])
def test_the_loss_per_example_is_the_mean_of_example_means(name: str, tokens: int, cache: Path) -> None:
    """Whatever the micro-batches; targets differ in length, so that the mean over tokens is another number."""
    config = make_config(
        cache, name, batch_size=14, micro_batch_tokens=tokens, loss="per_example", learning_rate=1e-3
    )
    checkpoint = load(config)
    store = make_store(checkpoint, config)
    with torch.no_grad():
        each = [plain_losses(checkpoint, store, example) for example in range(len(store))]
    (loss,) = take(make_module(config), first_batch(checkpoint, config))
    assert loss == pytest.approx(float(torch.stack([one.mean() for one in each]).mean()), rel=1e-5)
    assert loss != pytest.approx(float(torch.cat(each).mean()), rel=1e-4)


def test_a_step_tells_its_loss_its_rate_and_the_norm_of_its_gradients(cache: Path) -> None:
    config = make_config(cache, "tiny_llama")
    module, told = make_module(config), {}
    module.log_dict = lambda values, **_: told.update(values)  # type: ignore[assignment,method-assign]
    (loss,) = take(module, first_batch(load(config), config))
    assert told == {
        f"{LOGGED}loss": loss,
        f"{LOGGED}learning_rate": config.trainer.learning_rate,
        f"{LOGGED}grad_norm": module.norm,
        "step": 1.0,  # where loggers put the row
    }
    assert (module.done, module.norm is not None) == (1, True)


def whole_losses(checkpoint: Any, store: Any, example: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The losses of an example's prompt tokens, but for the first, and of its target's: by the library's forward."""
    source, target = (torch.tensor(ids[example].astype("int64")) for ids in (store.sources, store.targets))
    ids = torch.cat([source, target])
    losses = F.cross_entropy(
        checkpoint.model(input_ids=ids[None]).logits[0, :-1].float(), ids[1:], reduction="none"
    )
    return losses[: len(source) - 1], losses[len(source) - 1 :]


WAYS: dict[str, dict[str, Any]] = {
    "one by one": {"data": {"grouping": "none"}},
    "shared prompts": {"data": {"grouping": "task"}},
    "shared prompts, several micro-batches": {
        "data": {"grouping": "task"},
        "trainer": {"micro_batch_tokens": 300},
    },
    "padded": {"data": {"packing": False}},
    "whatever is alike": {"data": {"grouping": "prefix"}, "trainer": {"micro_batch_tokens": 300}},
}


@pytest.mark.parametrize("loss", ["per_token", "per_example"])
@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_prompt_tokens_count_once_for_each_example_whatever_the_way(
    weight: float, loss: str, cache: Path
) -> None:
    base = make_config(cache, batch_size=14, micro_batch_tokens=100_000, loss=loss, prompt_loss_weight=weight)
    checkpoint = load(base)
    store = make_store(checkpoint, base)
    each = [whole_losses(checkpoint, store, example) for example in range(len(store))]
    sums = torch.stack([weight * prompt.sum() + target.sum() for prompt, target in each])
    counts = torch.tensor([weight * len(prompt) + len(target) for prompt, target in each])
    wanted = sums.sum() / counts.sum() if loss == "per_token" else (sums / counts).mean()
    wanted.backward()
    slopes = gradients(checkpoint.model)
    for changes in WAYS.values():
        config = changed(base, **changes)
        batch, packing = first_batch(checkpoint, config), config.data.packing
        module = make_module(config)
        module.losses.packing = packing
        with packed_attention_of(module.losses.model, packing):
            assert module.alone(batch) == pytest.approx(float(wanted.detach()), rel=1e-5)
        for name, slope in gradients(module.losses.model).items():
            torch.testing.assert_close(slope, slopes[name], rtol=1e-3, atol=1e-5)


def test_without_a_weight_nothing_of_a_batch_is_another(cache: Path) -> None:
    config = make_config(cache, batch_size=14)
    batch = first_batch(load(config), config)
    assert batch.weight == 0.0
    assert all(part.weights is None for part in batch.micro_batches)
    assert sum(len(part.rows) for part in batch.micro_batches) == batch.target_tokens


@pytest.mark.parametrize(
    ("seen", "expected"), [(0, []), (1, [(0, 1.0)]), (2, [(0, 1.0), (1, 2.0)]), (3, [(0, 1.0), (1, 2.0)])]
)
def test_generators_of_gpus_that_are_not_seen_here_are_left(
    seen: int, expected: list[tuple[int, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fit that began beside two GPUs could not be taken up by a process that is lent one of them."""
    told: list[tuple[int, float]] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: seen > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: seen)
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, device: told.append((device, float(state)))
    )
    set_random_state({"cpu": torch.get_rng_state(), "cuda": [torch.tensor(1.0), torch.tensor(2.0)]})
    assert told == expected
