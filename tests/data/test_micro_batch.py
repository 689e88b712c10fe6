from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning_fabric.utilities import move_data_to_device

from instruct_ablate.data.collate import collate
from instruct_ablate.data.micro_batch import EffectiveBatch, MicroBatch, Packed, pad
from instruct_ablate.data.store import TokenStore


def packed(*sequences: list[int]) -> Packed:
    lengths = tuple(len(ids) for ids in sequences)
    return Packed(
        ids=torch.tensor([i for ids in sequences for i in ids]),
        positions=torch.cat([torch.arange(n) for n in lengths]),
        offsets=torch.tensor([0, *lengths]).cumsum(0).int(),
        lengths=lengths,
        parents=(-1,) * len(lengths),
    )


def test_pad_lays_sequences_side_by_side() -> None:
    ids, mask = pad(packed([5, 6, 7], [8], [9, 9]), fill=0)
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0], [9, 9, 0]]
    assert mask.tolist() == [[True] * 3, [True, False, False], [True, True, False]]


def test_padding_counts_what_pad_fills() -> None:
    some = packed([5, 6, 7], [8], [9, 9])
    assert some.padding == int((~pad(some, fill=0)[1]).sum()) == 3
    assert packed([5, 6], [7, 8]).padding == 0


def test_total_and_grouped() -> None:
    flat = packed([5, 6, 7], [8])
    assert flat.total == 4
    assert not flat.grouped
    tree = Packed(flat.ids, flat.positions, flat.offsets, flat.lengths, (-1, 0))
    assert tree.grouped
    deep = packed([5, 6, 7], [8], [9, 9], [4])
    assert (deep.longest, packed([5], [6, 7]).longest) == (3, 2)
    two = Packed(deep.ids, deep.positions, deep.offsets, deep.lengths, (-1, 0, 0, -1))
    assert two.longest == 3 + 2, (
        "a sequence is as long as its shared prefix and what follows: windows hang on it"
    )


@pytest.mark.parametrize("grouped", [True, False])
def test_moves_with_all_its_parts(t5_store: TokenStore, llama_store: TokenStore, grouped: bool) -> None:
    batch = collate(llama_store, [[0, 1]], None) if grouped else collate(t5_store, [[0], [1]], 0)
    effective = EffectiveBatch((batch,), step=1, epoch=0.5, examples=2, target_tokens=9, tokens=80)
    moved = effective.to(torch.device("meta"))
    (inner,) = moved.micro_batches
    assert {t.device.type for t in (inner.labels, inner.rows, inner.owners, inner.examples)} == {"meta"}
    assert inner.decoder.ids.device.type == inner.decoder.offsets.device.type == "meta"
    assert inner.encoder is None or inner.encoder.ids.device.type == "meta"
    assert moved.step == 1
    assert inner.decoder.lengths == batch.decoder.lengths


def test_lightning_moves_it_too(t5_store: TokenStore) -> None:
    batch = EffectiveBatch((collate(t5_store, [[0]], 0),), 0, 0.1, 1, 2, 3)
    moved = move_data_to_device(batch, torch.device("meta"))
    assert moved.micro_batches[0].labels.device.type == "meta"


def test_tokens_and_padding_of_one_and_of_two_sides() -> None:
    decoder: Any = SimpleNamespace(total=5, padding=2)
    encoder: Any = SimpleNamespace(total=7, padding=3)
    nothing: Any = None
    one, two = (MicroBatch(decoder, nothing, nothing, nothing, nothing, (), side) for side in (None, encoder))
    assert (one.tokens, one.padding) == (5, 2)
    assert (two.tokens, two.padding) == (12, 5)
