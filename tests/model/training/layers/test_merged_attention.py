"""T5Gemma 2 on packed sequences: as it computes itself beyond its windows; another attention is noticed."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from instruct_ablate.data.micro_batch import NO_PARENT, Packed
from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.training.layers import merged_attention
from instruct_ablate.model.training.layers.merged_attention import Sources, Targets, attend, by_sequence
from instruct_ablate.model.training.packable import trains
from tests.model.fits import load, make_config


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


@pytest.mark.usefixtures("tried_anew")
def test_a_trial_sees_both_windows(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(make_config(cache, "tiny_t5gemma2")).model
    assert trains(model, packing=True)
    with monkeypatch.context() as change:
        change.setattr(merged_attention, "reach_both_ways", lambda window: (window, window))
        assert not trains(model, packing=True)
    with monkeypatch.context() as change:
        whole = merged_attention.blocks
        change.setattr(
            merged_attention, "blocks", lambda own, before, causal, *_, **__: whole(own, before, causal)
        )
        assert not trains(model, packing=True)


def packed(*lengths: int) -> Packed:
    total = sum(lengths)
    ends = torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32)
    return Packed(
        torch.zeros(total).long(), torch.zeros(total).long(), ends, lengths, (NO_PARENT,) * len(lengths)
    )


@pytest.mark.parametrize("window", [None, 4, 5, 70, 1000])
@pytest.mark.parametrize("side", ["source", "target"])
def test_blocks_are_pytorchs_attention(side: str, window: int | None) -> None:
    sources, targets = packed(3, 150, 70), packed(140, 2, 9)
    layout = Sources(sources) if side == "source" else Targets(targets, sources)
    queries, keys = (223, 223) if side == "source" else (151, 151 + 223)
    torch.manual_seed(0)
    query, key, value = (
        torch.randn(1, heads, tokens, 8, dtype=torch.float64, requires_grad=True)
        for heads, tokens in ((4, queries), (2, keys), (2, keys))
    )
    scores = Scores(0.3, window)
    made = [attend(layout, query, key, value, scores), by_sequence(layout, query, key, value, scores)]
    slopes = torch.randn_like(made[0])
    ours, plain = ([one, *torch.autograd.grad(one, (query, key, value), slopes)] for one in made)
    for given, wanted in zip(ours, plain, strict=True):
        torch.testing.assert_close(given, wanted, rtol=1e-5, atol=1e-5)
