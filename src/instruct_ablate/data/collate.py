"""From example numbers to the tensors of a micro-batch: sequences laid end to end, shared prefixes once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch

from instruct_ablate.data.alike import Ids, shared_prefix
from instruct_ablate.data.micro_batch import NO_PARENT, MicroBatch, Packed
from instruct_ablate.data.store import TokenStore
from instruct_ablate.data.weighting import Weighting


@dataclass
class Layout:
    """Segments as they are laid end to end."""

    pieces: list[Ids] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)  # position of a segment's first token
    parents: list[int] = field(default_factory=list)
    total: int = 0

    def add(self, ids: Ids, start: int = 0, parent: int = NO_PARENT) -> int:
        """Lay one more segment; return where it begins."""
        self.pieces.append(ids)
        self.starts.append(start)
        self.parents.append(parent)
        self.total += len(ids)
        return self.total - len(ids)

    def packed(self) -> Packed:
        """Return the segments as tensors."""
        lengths = tuple(len(piece) for piece in self.pieces)
        positions = [np.arange(start, start + n) for start, n in zip(self.starts, lengths, strict=True)]
        return Packed(
            ids=torch.from_numpy(np.concatenate(self.pieces).astype(np.int64)),
            positions=torch.from_numpy(np.concatenate(positions)),
            offsets=torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32),
            lengths=lengths,
            parents=tuple(self.parents),
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where an example lies: its own segment's first token, and the prefix before it that a parent holds."""

    begin: int
    prefix: int = 0
    parent: int = 0


def collate(
    store: TokenStore,
    groups: Sequence[Sequence[int]],
    start_token: int | None,
    weighting: Weighting | None = None,
) -> MicroBatch:
    """Make a micro-batch of examples in groups; a decoder-only group of several shares its prefix.

    With a `weighting` prompt tokens are predicted as well.
    """
    examples = [example for group in groups for example in group]
    if start_token is not None:
        return _encoder_decoder(store, examples, start_token)
    layout, places, owners = Layout(), list[Place](), list[int]()
    for group in groups:
        members = [(store.sources[example], store.targets[example]) for example in group]
        prefix = shared_prefix([source for source, _ in members])
        parent, start = NO_PARENT, 0
        if prefix:
            parent = len(layout.pieces)
            start = layout.add(members[0][0][:prefix])
            owners.append(-1)
        for source, target in members:
            begin = layout.add(np.concatenate([source[prefix:], target[:-1]]), prefix, parent)
            owners.append(len(places))
            places.append(Place(begin, prefix, start))
    rows = [
        np.arange(len(store.targets[example])) + place.begin + len(store.sources[example]) - place.prefix - 1
        for example, place in zip(examples, places, strict=True)
    ]
    batch = _micro_batch(store, examples, layout.packed(), rows, owners)
    return batch if weighting is None else _with_prompts(batch, store, examples, places, weighting)


def _with_prompts(
    batch: MicroBatch,
    store: TokenStore,
    examples: Sequence[int],
    places: Sequence[Place],
    weighting: Weighting,
) -> MicroBatch:
    """Add the prompts' tokens to what is predicted, and what each token counts.

    A parent's tokens are predicted once, and count for all examples that share them.
    """
    added = Predicted()
    sources = [store.sources[example] for example in examples]
    scales = [
        weighting.scale(len(source), len(store.targets[example]))
        for source, example in zip(sources, examples, strict=True)
    ]
    shared: dict[int, float] = {}
    for place, scale in zip(places, scales, strict=True):
        if place.prefix:
            shared[place.parent] = shared.get(place.parent, 0.0) + scale
    for number, (source, place, scale) in enumerate(zip(sources, places, scales, strict=True)):
        # Taken out by the first example that shares it, so that it is predicted once.
        if (together := shared.pop(place.parent, None) if place.prefix else None) is not None:
            within = np.arange(place.prefix - 1) + place.parent
            added.add(within, source[1 : place.prefix], NO_PARENT, together * weighting.prompt)
        # A prefix's last token predicts what follows in each example, which differs: it counts for each by itself.
        before = [place.parent + place.prefix - 1] if place.prefix else []
        own = np.arange(len(source) - place.prefix - 1) + place.begin
        at = np.concatenate([np.array(before, dtype=np.int64), own])
        added.add(at, source[place.prefix + (not place.prefix) :], number, scale * weighting.prompt)
    targets = torch.tensor(scales)[batch.owners]
    return added.behind(batch, targets)


@dataclass
class Predicted:
    """Tokens that are predicted besides: where, which, whose, and what they count."""

    rows: list[npt.NDArray[np.int64]] = field(default_factory=list)
    labels: list[Ids] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def add(self, rows: npt.NDArray[np.int64], labels: Ids, owner: int, weight: float) -> None:
        """Add tokens of one owner that count alike."""
        self.rows.append(rows)
        self.labels.append(labels)
        self.owners += [owner] * len(rows)
        self.weights += [weight] * len(rows)

    def behind(self, batch: MicroBatch, weights: torch.Tensor) -> MicroBatch:
        """Return a micro-batch that predicts these too; `weights` are what its own tokens count."""
        labels = np.concatenate(self.labels).astype(np.int64)
        return replace(
            batch,
            rows=torch.cat([batch.rows, torch.from_numpy(np.concatenate(self.rows))]),
            labels=torch.cat([batch.labels, torch.from_numpy(labels)]),
            owners=torch.cat([batch.owners, torch.tensor(self.owners, dtype=torch.int64)]),
            weights=torch.cat([weights, torch.tensor(self.weights)]).float(),
        )


def _encoder_decoder(store: TokenStore, examples: Sequence[int], start_token: int) -> MicroBatch:
    """Make a micro-batch for a model with an encoder: sources there, shifted targets in the decoder."""
    encoder, decoder, rows = Layout(), Layout(), []
    for example in examples:
        target = store.targets[example]
        encoder.add(store.sources[example])
        begin = decoder.add(np.concatenate([np.array([start_token], dtype=np.int32), target[:-1]]))
        rows.append(np.arange(len(target)) + begin)
    owners = list(range(len(examples)))
    return _micro_batch(store, examples, decoder.packed(), rows, owners, encoder.packed())


def _micro_batch(
    store: TokenStore,
    examples: Sequence[int],
    decoder: Packed,
    rows: Sequence[npt.NDArray[np.int64]],
    owners: Sequence[int],
    encoder: Packed | None = None,
) -> MicroBatch:
    """Add what the loss needs: labels, where they are predicted, whose they are."""
    labels = np.concatenate([store.targets[example] for example in examples]).astype(np.int64)
    return MicroBatch(
        decoder=decoder,
        examples=torch.tensor(examples, dtype=torch.int64),
        rows=torch.from_numpy(np.concatenate(rows)),
        labels=torch.from_numpy(labels),
        owners=torch.from_numpy(np.repeat(np.arange(len(rows)), [len(row) for row in rows])),
        decoder_owners=tuple(owners),
        encoder=encoder,
    )
