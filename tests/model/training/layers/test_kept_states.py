"""Frozen layers by themselves: the states that the whole model's layers get, whatever stands beside a sequence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from instruct_ablate.model.training.layers.frozen_layers import FrozenLayers
from instruct_ablate.model.training.layers.kept_states import KeptStates, name_of, tokens_of
from instruct_ablate.model.training.loss import packed_attention_of, target_states
from tests.model.fits import adapted, changed, first_batch, make_store


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


def test_chunks_of_another_size_have_another_name(tmp_path: Path) -> None:
    """Weights, code and machine are those of `LowerLayers.name`."""
    frozen = FrozenLayers.of(adapted(tmp_path)[0])
    assert frozen is not None
    assert name_of(frozen) == name_of(frozen) != name_of(frozen, 64)


def test_an_example_is_kept_as_it_is_packed(tmp_path: Path) -> None:
    """Nothing is read behind a target's last token, which is only learned."""
    _, checkpoint, config = adapted(tmp_path)
    store = make_store(checkpoint, config)
    for example in (0, 3):
        whole = [*store.sources[example], *store.targets[example]]
        assert tokens_of(store, example).tolist() == whole[:-1]
