"""Frozen layers by themselves: the states that the whole model's layers get, whatever stands beside a sequence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from instruct_ablate.model import processor
from instruct_ablate.model.training.layers.frozen_layers import FrozenLayers
from instruct_ablate.model.training.layers.kept_states import KeptStates, name_of
from instruct_ablate.model.training.loss import packed_attention_of, target_states
from instruct_ablate.model.training.trainable import make_trainable
from instruct_ablate.schema import MethodConfig
from tests.model.fits import changed, first_batch, load, make_config

TOP = MethodConfig(name="lora", layers="top:1", rank=4, alpha=8)


def adapted(cache: Path, name: str = "tiny_llama", **method: Any) -> tuple[Any, Any, Any]:
    config = replace(make_config(cache, name), method=replace(TOP, **method))
    checkpoint = load(config)
    return make_trainable(checkpoint.model, config), checkpoint, config


def test_what_lies_below_all_that_learns_is_frozen(tmp_path: Path) -> None:
    model, checkpoint, _ = adapted(tmp_path)
    frozen = FrozenLayers.of(model)
    assert frozen is not None
    assert frozen.count == checkpoint.model.config.num_hidden_layers - 1
    names = {name for name, _ in frozen.weights()}
    assert "embed_tokens.weight" in names
    assert not any(name.startswith(f"layers.{frozen.count}.") for name in names)
    assert FrozenLayers.of(adapted(tmp_path, layers="all")[0]) is None
    assert FrozenLayers.of(adapted(tmp_path, "tiny_t5")[0]) is None
    assert FrozenLayers.of(adapted(tmp_path, layers="all", target_modules=["embed_tokens"])[0]) is None
    assert FrozenLayers.of(load(make_config(tmp_path)).model.train()) is None


@pytest.mark.parametrize("grouping", ["none", "task"])
@pytest.mark.parametrize("name", ["tiny_llama", "tiny_gemma3", "tiny_gpt2"])
@pytest.mark.parametrize("size", [16, 128])
def test_chunks_give_the_states_of_the_whole_pass(
    name: str, grouping: str, size: int, tmp_path: Path
) -> None:
    model, checkpoint, config = adapted(tmp_path, name)
    batch = first_batch(checkpoint, changed(config, data={"grouping": grouping})).micro_batches[0]
    assert batch.decoder.grouped == (grouping == "task")
    frozen = FrozenLayers.of(model)
    assert frozen is not None
    with packed_attention_of(model):
        seen: list[torch.Tensor] = []
        hook = frozen.above.register_forward_pre_hook(lambda _, given: seen.append(given[0][0]))
        wanted = target_states(model, batch)
        hook.remove()
        kept = KeptStates(frozen, None, size)
        torch.testing.assert_close(kept.of(batch.decoder), seen[0], rtol=1e-5, atol=1e-5)
        assert grouping == "task" or kept.computed <= batch.decoder.total
        torch.testing.assert_close(target_states(model, batch, kept=kept), wanted, rtol=1e-5, atol=1e-5)


def test_a_token_has_the_same_bits_in_any_company(tmp_path: Path) -> None:
    model, _, _ = adapted(tmp_path)
    frozen = FrozenLayers.of(model)
    assert frozen is not None
    ids = np.arange(3, 83, dtype=np.int32)
    with packed_attention_of(model):
        alone = KeptStates(frozen, None, 16)._sequence(ids)
        kept = KeptStates(frozen, None, 16)
        kept._sequence(np.concatenate([ids[:40], ids[:7]]))
        assert torch.equal(kept._sequence(ids), alone)
        assert kept.computed == 47 + 80 - 32  # the two whole chunks that both begin with
        assert torch.equal(kept._sequence(np.concatenate([ids, ids]))[:80], alone)


def test_another_processor_reads_none_of_what_this_one_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = FrozenLayers.of(adapted(tmp_path)[0])
    assert frozen is not None
    info = tmp_path / "cpuinfo"
    names = [name_of(frozen)]
    for flags in ("avx512_bf16", "avx512_bf16 amx_bf16"):  # torch calls both AVX512
        info.write_text(f"processor\t: 0\nvendor_id\t: GenuineIntel\nmodel\t: 143\nflags\t: {flags}\n")
        monkeypatch.setattr(processor, "INFO", info)
        names.append(name_of(frozen))
    assert len(set(names)) == 3


def test_other_weights_or_another_cut_have_another_name(tmp_path: Path) -> None:
    model, _, _ = adapted(tmp_path)
    frozen = FrozenLayers.of(model)
    assert frozen is not None
    first = name_of(frozen)
    assert first == name_of(frozen) != name_of(frozen, 64)
    with torch.no_grad():
        next(iter(frozen.above.parameters())).add_(1.0)
        assert name_of(frozen) == first  # which the states do not depend on
        next(iter(frozen.layers[0].parameters())).view(-1)[0].add_(2.0**-10)
    assert name_of(frozen) != first
