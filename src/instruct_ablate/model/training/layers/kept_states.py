"""What frozen layers give, computed once and kept (`trainer.frozen_cache_gb`): for every epoch, seed, budget and cell.

Before the first step all sequences of a fit go through the frozen layers, those that begin alike in turn,
and what is new goes to the store. In training the states are read; what is not kept is computed in the step, the same
way and so to the same bits. Results do not depend on what the store held, nor on who wrote it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from instruct_ablate.data.micro_batch import NO_PARENT, Packed
from instruct_ablate.data.store import TokenStore
from instruct_ablate.errors import UserError
from instruct_ablate.model.state_store import Ids, StateStore, bucket_of, chain
from instruct_ablate.model.training.layers.frozen_layers import CHUNK, Chunk, FrozenLayers

log = logging.getLogger(__name__)
FORMAT = 1  # raise it when the same layers would give other states
BATCH = 2**26  # bytes of a batch of chunks
WORTH_TELLING = 20_000  # tokens


@dataclass(frozen=True, slots=True)
class _New:
    """A chunk to be computed: the sequence it is of, its place there and its tokens."""

    sequence: int
    at: int
    tokens: int


class KeptStates:
    """The states that frozen layers give for packed sequences; used within `packed_attention_of` the model."""

    def __init__(self, frozen: FrozenLayers, store: StateStore | None, size: int = CHUNK) -> None:
        self.frozen, self.store, self.size = frozen, store, size
        self.computed = 0  # tokens
        # The chunks of the last sequence that was computed: what the next one shares of them is not done again.
        self._way: list[tuple[bytes, Chunk]] = []

    @contextmanager
    def used(self, packed: Packed) -> Iterator[None]:
        """Let a forward pass over `packed` take them."""
        with self.frozen.giving(self.of(packed)[None]):
            yield

    def of(self, packed: Packed) -> Tensor:
        """Return the states (tokens, width) of all tokens; a prefix that sequences share has those of the first."""
        ids, spans = packed.ids.numpy().astype(np.int32), packed.spans
        parts: dict[int, Tensor] = {}
        for at, ((first, last), parent) in enumerate(zip(spans, packed.parents, strict=True)):
            if parent != NO_PARENT:
                begin, end = spans[parent]
                whole = self._sequence(np.concatenate([ids[begin:end], ids[first:last]]))
                # Its states follow from its own tokens alone, so that any child's sequence has them.
                parts.setdefault(parent, whole[: end - begin])
                parts[at] = whole[end - begin :]
        for at, (first, last) in enumerate(spans):
            if at not in parts:
                parts[at] = self._sequence(ids[first:last])
        return torch.cat([parts[at] for at in range(len(spans))])

    def _sequence(self, ids: Ids) -> Tensor:
        """Return the states (tokens, width) of a sequence."""
        keys = chain(ids, self.size)
        found = [None if self.store is None else self.store.read(key) for key in keys]
        missing = [at for at, states in enumerate(found) if states is None]
        if missing:
            self._reach(ids, keys, missing[-1])
        return torch.cat(
            [self._way[at][1].states if states is None else states for at, states in enumerate(found)]
        )

    def _reach(self, ids: Ids, keys: Sequence[bytes], last: int) -> Chunk:
        """Compute the chunks of a sequence up to the one at `last`, and return that."""
        same = next(
            (at for at, ((known, _), key) in enumerate(zip(self._way, keys, strict=False)) if known != key),
            min(len(self._way), len(keys)),
        )
        del self._way[same:]
        for at in range(same, last + 1):
            piece = torch.from_numpy(ids[at * self.size : (at + 1) * self.size].astype(np.int64))
            chunk = self.frozen.chunk(piece, [before.pairs for _, before in self._way])
            self._way.append((keys[at], chunk))
            self.computed += len(piece)
        return self._way[last][1]

    def keep(self, sequences: Sequence[tuple[TokenStore, int]]) -> None:
        """Compute and store what is not stored yet of sequences; what other processes are about to comes last."""
        assert self.store is not None
        chains = [chain(tokens_of(*one), self.size) for one in sequences]
        buckets: dict[int, list[int]] = {}
        for number, keys in enumerate(chains):
            buckets.setdefault(bucket_of(keys), []).append(number)
        self.store.refresh(buckets)
        left = [one for one in sorted(buckets) if self._new(sequences, chains, buckets[one])]
        turn = os.getpid() % max(1, len(left))  # several processes begin in different places
        left = left[turn:] + left[:turn]
        for wait in (False, True):
            left = [one for one in left if not self._filled(one, wait, sequences, chains, buckets[one])]
        # Its chunks hold keys and values of every frozen layer, and training needs the room.
        self._way.clear()

    def _filled(
        self,
        bucket: int,
        wait: bool,
        sequences: Sequence[tuple[TokenStore, int]],
        chains: Sequence[Sequence[bytes]],
        numbers: Sequence[int],
    ) -> bool:
        """Fill a bucket if its turn is ours; return whether it can be left alone from now on."""
        assert self.store is not None
        try:
            with self.store.filling(bucket, wait) as mine:
                if mine:
                    self._fill(bucket, sequences, chains, numbers)
        except UserError as error:  # a cache that is somebody else's: the states are computed in every step
            self.store.full = str(error)
            return True
        return mine

    def _new(
        self,
        sequences: Sequence[tuple[TokenStore, int]],
        chains: Sequence[Sequence[bytes]],
        numbers: Sequence[int],
    ) -> dict[bytes, _New]:
        """Return the chunks of some sequences that are not stored, in the order in which they are computed."""
        assert self.store is not None
        new: dict[bytes, _New] = {}
        # Those that begin alike in turn: `_reach` computes only what a sequence does not share with the last one.
        for number in sorted(numbers, key=lambda one: b"".join(chains[one])):
            if all(key in self.store for key in chains[number]):
                continue
            length = len(tokens_of(*sequences[number]))
            for at, key in enumerate(chains[number]):
                if key not in self.store and key not in new:
                    new[key] = _New(number, at, min(self.size, length - at * self.size))
        return new

    def _fill(
        self,
        bucket: int,
        sequences: Sequence[tuple[TokenStore, int]],
        chains: Sequence[Sequence[bytes]],
        numbers: Sequence[int],
    ) -> None:
        """Write a bucket's new chunks, batch by batch."""
        assert self.store is not None
        self.store.refresh([bucket])  # another process may have filled it
        most = max(1, BATCH // (self.store.row * self.size))
        new = list(self._new(sequences, chains, numbers).items())
        if (tokens := sum(one.tokens for _, one in new)) >= WORTH_TELLING:
            log.info("computing the frozen layers' states of %d tokens, once for all cells", tokens)
        for start in range(0, len(new), most):
            part = new[start : start + most]
            made = (
                self._reach(tokens_of(*sequences[one.sequence]), chains[one.sequence], one.at).states
                for _, one in part
            )
            self.store.add(bucket, [key for key, _ in part], [one.tokens for _, one in part], made)


def tokens_of(store: TokenStore, example: int) -> Ids:
    """Return the tokens of an example as they are packed: its source and its target without the last token."""
    return np.concatenate([store.sources[example], store.targets[example][:-1]]).astype(np.int32)


def name_of(frozen: FrozenLayers, size: int = CHUNK) -> str:
    """Name all that decides the bits of what frozen layers give: weights, code and kind of machine."""
    return frozen.name(FORMAT, size)
