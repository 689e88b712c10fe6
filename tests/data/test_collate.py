from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from instruct_ablate.data.collate import collate
from instruct_ablate.data.micro_batch import MicroBatch, Packed
from instruct_ablate.data.store import TokenStore
from instruct_ablate.data.weighting import Weighting
from instruct_ablate.model.loading.checkpoint import Checkpoint


def may_attend(packed: Packed) -> Tensor:
    """Dense mask of the packed layout: own segment causally, and all of the parent."""
    segment = torch.repeat_interleave(torch.arange(len(packed.lengths)), torch.tensor(packed.lengths))
    parent = torch.tensor(packed.parents)[segment]
    own = (segment[:, None] == segment[None]) & torch.ones(packed.total, packed.total).tril().bool()
    return own | (parent[:, None] == segment[None])


def packed_losses(checkpoint: Checkpoint, batch: MicroBatch) -> Tensor:
    """Loss of every example of a decoder-only micro-batch, by plain attention under the dense mask."""
    mask = torch.zeros(batch.decoder.total, batch.decoder.total)
    mask.masked_fill_(~may_attend(batch.decoder), float("-inf"))
    with torch.no_grad():
        logits = checkpoint.model(
            input_ids=batch.decoder.ids[None],
            position_ids=batch.decoder.positions[None],
            attention_mask=mask[None, None],
            use_cache=False,
        ).logits[0, batch.rows]
    losses = torch.nn.functional.cross_entropy(logits, batch.labels, reduction="none")
    return torch.zeros(len(batch.examples)).index_add(0, batch.owners, losses)


def plain_loss(checkpoint: Checkpoint, source: list[int], target: list[int]) -> float:
    """Loss of one example by the library's own forward."""
    with torch.no_grad():
        if checkpoint.encoder_decoder:
            mean = checkpoint.model(input_ids=torch.tensor([source]), labels=torch.tensor([target])).loss
        else:
            labels = torch.tensor([[-100] * len(source) + target])
            mean = checkpoint.model(input_ids=torch.tensor([source + target]), labels=labels).loss
    return float(mean) * len(target)


@pytest.mark.parametrize("groups", [[[4], [0], [20]], [[0, 3, 5]], [[0, 1], [8], [14, 15, 16]]])
def test_decoder_only_losses_are_those_of_each_example_alone(
    llama: Checkpoint, llama_store: TokenStore, groups: list[list[int]]
) -> None:
    batch = collate(llama_store, groups, None)
    wanted = [
        plain_loss(llama, llama_store.sources[i].tolist(), llama_store.targets[i].tolist())
        for group in groups
        for i in group
    ]
    assert batch.examples.tolist() == [i for group in groups for i in group]
    assert packed_losses(llama, batch).tolist() == pytest.approx(wanted, rel=1e-5)


def test_a_group_lays_its_prefix_once(llama_store: TokenStore) -> None:
    alone = collate(llama_store, [[0], [1], [2]], None)
    together = collate(llama_store, [[0, 1, 2]], None)
    prefix = together.decoder.lengths[0]
    assert together.tokens == alone.tokens - 2 * prefix
    assert together.decoder.parents == (-1, 0, 0, 0)
    assert together.decoder_owners == (-1, 0, 1, 2)
    assert alone.decoder.parents == (-1, -1, -1)
    assert together.decoder.positions[prefix] == prefix
    assert torch.equal(together.labels, alone.labels)
    assert torch.equal(together.owners, alone.owners)


def test_nothing_is_predicted_from_the_last_token(llama_store: TokenStore) -> None:
    batch = collate(llama_store, [[0]], None)
    assert batch.tokens == llama_store.lengths[0] - 1
    assert batch.rows[-1] == batch.tokens - 1
    assert batch.labels.tolist() == llama_store.targets[0].tolist()


def test_encoder_decoder_layout(t5: Checkpoint, t5_store: TokenStore) -> None:
    batch = collate(t5_store, [[3], [11, 12]], t5.start_token)
    assert batch.encoder is not None
    assert batch.encoder.lengths == tuple(len(t5_store.sources[i]) for i in (3, 11, 12))
    assert batch.decoder.lengths == tuple(len(t5_store.targets[i]) for i in (3, 11, 12))
    assert not batch.encoder.grouped
    begins = batch.decoder.offsets[:-1].long()
    assert batch.decoder.ids[begins].tolist() == [t5.start_token] * 3
    assert batch.rows.tolist() == list(range(batch.decoder.total))


def test_encoder_decoder_losses_are_the_librarys(t5: Checkpoint, t5_store: TokenStore) -> None:
    for i in (0, 6):
        batch = collate(t5_store, [[i]], t5.start_token)
        assert batch.encoder is not None
        with torch.no_grad():
            logits = t5.model(
                input_ids=batch.encoder.ids[None], decoder_input_ids=batch.decoder.ids[None]
            ).logits
        loss = torch.nn.functional.cross_entropy(logits[0, batch.rows], batch.labels, reduction="sum")
        wanted = plain_loss(t5, t5_store.sources[i].tolist(), t5_store.targets[i].tolist())
        assert float(loss) == pytest.approx(wanted, rel=1e-5)


def ids(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int32)


def predicted(batch: MicroBatch) -> list[tuple[int, int, float]]:
    """What is read and what is predicted at every place, and what it counts."""
    assert batch.weights is not None
    read = batch.decoder.ids[batch.rows].tolist()
    return sorted(zip(read, batch.labels.tolist(), batch.weights.tolist(), strict=True))


def test_every_token_but_the_first_is_predicted_from_the_one_before_it(llama_store: TokenStore) -> None:
    source, target = (part[4].tolist() for part in (llama_store.sources, llama_store.targets))
    whole = [*source, *target]
    weights = [0.5] * (len(source) - 1) + [1.0] * len(target)
    batch = collate(llama_store, [[4]], None, Weighting(0.5))
    assert predicted(batch) == sorted(zip(whole[:-1], whole[1:], weights, strict=True))


@pytest.mark.parametrize("weighting", [Weighting(0.5), Weighting(0.5, per_example=True)])
def test_a_shared_prompt_is_predicted_once_and_counts_for_all(
    llama_store: TokenStore, weighting: Weighting
) -> None:
    alone = collate(llama_store, [[0], [1], [2]], None, weighting)
    together = collate(llama_store, [[0, 1, 2]], None, weighting)
    prefix = together.decoder.lengths[0]
    assert len(alone.rows) - len(together.rows) == 2 * (prefix - 1)
    sums: list[dict[tuple[int, int], float]] = [{}, {}]
    for batch, found in zip((alone, together), sums, strict=True):
        for read, label, weight in predicted(batch):
            found[read, label] = found.get((read, label), 0.0) + weight
    assert sums[0] == pytest.approx(sums[1])
    assert float(together.weights.sum()) == pytest.approx(float(alone.weights.sum()))  # type: ignore[union-attr]
    assert (together.owners == -1).sum() == prefix - 1
    if weighting.per_example:
        assert float(together.weights.sum()) == pytest.approx(3)  # type: ignore[union-attr]
