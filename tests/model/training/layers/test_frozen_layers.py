"""Which layers of a model are frozen: those that lie below all that learns."""

from __future__ import annotations

from pathlib import Path

from instruct_ablate.model.training.layers.frozen_layers import FrozenLayers
from tests.model.fits import adapted, load, make_config


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
