"""What the layers below `method.layers=top:N` make of test prompts: computed by one cell, read by all others.

A batch's passes are cut there: states go to the layers above and, where answers are written, keys and values to the
decoding steps. All is what a pass over the whole batch gives, so that a cell's bits depend neither on who computed it
nor on whether anything is kept. An entry of the store is a batch, found by a hash of its tokens.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from instruct_ablate.configuration.top_layers import top_count
from instruct_ablate.errors import UserError, in_a_line
from instruct_ablate.model.adapters import decoder_layers
from instruct_ablate.model.decoding.answers.label_tree import label_tree
from instruct_ablate.model.decoding.layers.attention import Layout, Pair
from instruct_ablate.model.decoding.layers.batch import Batch, Row
from instruct_ablate.model.decoding.layers.decoder_only import Below, PackedDecoder
from instruct_ablate.model.decoding.layers.kv_cache import Prefill, PrefixCache
from instruct_ablate.model.lower_layers import LowerLayers
from instruct_ablate.model.modes import evaluating
from instruct_ablate.model.state_store import BUCKETS, KEY, StateStore, make_store
from instruct_ablate.model.trial import REFUSALS, trial_tokens
from instruct_ablate.schema import Config

log = logging.getLogger(__name__)
FORMAT = 1  # raise it when the same layers would give other bits, and when they are laid out otherwise
TRIAL = 6  # tokens of the prefix in the trial
# By the name of the layers: what is above them does not change how they are taken.
_TRIED: dict[str, Forms | None] = {}


class Gone(Exception):  # noqa: N818 - no error: the passes are computed
    """What was kept of a batch is not what was written."""


@dataclass(frozen=True, slots=True)
class Forms:
    """How what the layers give is laid out: the states' width, and of each layer keys and values as (heads, dim)."""

    width: int
    dtype: torch.dtype
    pairs: tuple[tuple[tuple[int, int], tuple[int, int]], ...]

    def numbers(self, layer: int | None, tokens: int) -> int:
        """Return how many numbers a part has: of states, or of a layer's keys and values."""
        each = self.width if layer is None else sum(map(prod, self.pairs[layer]))
        return each * tokens

    def pair(self, layer: int, tokens: int, numbers: Tensor) -> Pair:
        """Return a layer's keys and values (kv heads, tokens, dim), laid out as projections give them."""
        parts = torch.split(numbers, [tokens * prod(form) for form in self.pairs[layer]])
        shaped = [
            part.view(tokens, *form).transpose(0, 1)
            for part, form in zip(parts, self.pairs[layer], strict=True)
        ]
        return shaped[0], shaped[1]


class KeptPrompts:
    """The test prompts of one model; `make` opens its store for each batch, so that few files are open."""

    def __init__(self, lower: LowerLayers, forms: Forms, make: Callable[[], StateStore]) -> None:
        self.lower, self.forms, self.make = lower, forms, make
        self.full: str | None = None  # why no more is kept

    def read(self, batch: Batch, pairs: bool, passes: Callable[[Below], Tensor]) -> Tensor:
        """Return what the passes over a batch give, with what is kept of it, or by computing and keeping it.

        `pairs`: decoding goes on behind the rows, so that keys and values are wanted too.
        """
        store = self.make()
        try:
            entry = _Entry(store, self.forms, batch, pairs)
            if entry.look():
                try:
                    return passes(_Taken(self.lower, self.forms, entry, pairs))
                except Gone:
                    log.debug("what is kept of a batch of prompts is damaged: it is computed")
            noted = _Noted(self.lower)
            result = passes(noted)
            if self.full is None:
                entry.write(noted)
                self.full = store.full
            return result
        finally:
            store.close()

    @property
    def notes(self) -> list[str]:
        """Say that not all was kept, where there was no room for it."""
        told = f"some of the frozen layers' states are computed in every test: {self.full} (trainer.frozen_cache_gb)"
        return [] if self.full is None else [told]


class _Entry:
    """One batch in the store: a part for the states of each pass and, with `pairs`, for each layer below."""

    def __init__(self, store: StateStore, forms: Forms, batch: Batch, pairs: bool) -> None:
        self.store, self.forms = store, forms
        # Neighbours attend together if their tree is the same one, not only an equal one: so it counts which it is.
        trees = {id(row.tree): row.tree for row in batch.rows if row.tree is not None and not pairs}
        number = {tree: at for at, tree in enumerate(trees)}
        told = json.dumps(
            [
                pairs,
                batch.prefixes,
                [(row.prefix, row.tokens, number.get(id(row.tree))) for row in batch.rows],
                [(tree.tokens, tree.parents) for tree in trees.values()],
            ]
        ).encode()
        self.digest = hashlib.blake2b(told, digest_size=KEY).digest()
        self.bucket = self.digest[0] % BUCKETS
        read = [sum(map(len, batch.prefixes))] if batch.prefixes else []
        self.tokens = (*read, sum(len(row.tokens) + (0 if pairs else row.nodes) for row in batch.rows))
        self.layers = (None, *range(len(forms.pairs))) if pairs else (None,)
        self.parts = [(turn, layer) for turn in range(len(self.tokens)) for layer in self.layers]

    def key(self, turn: int, layer: int | None) -> bytes:
        """Return the key of a part: of a pass, in turn, the states or a layer's keys and values."""
        return hashlib.blake2b(self.digest + f"{turn} {layer}".encode(), digest_size=KEY).digest()

    def look(self) -> bool:
        """Whether all of it is there."""
        self.store.look(self.bucket, [self.key(*part) for part in self.parts])
        return all(self.key(*part) in self.store for part in self.parts)

    def read(self, turn: int, layer: int | None) -> Tensor:
        """Return the numbers of a part; raises `Gone` where they are not what was written."""
        numbers = self.store.read(self.key(turn, layer))
        if numbers is None or len(numbers) != self.forms.numbers(layer, self.tokens[turn]):
            raise Gone
        return numbers[:, 0]

    def write(self, noted: _Noted) -> None:
        """Keep what the passes gave; nothing where another process is about to, or where there is no room."""
        lengths = [self.forms.numbers(layer, self.tokens[turn]) for turn, layer in self.parts]
        made = (noted.read(turn, layer)[:, None] for turn, layer in self.parts)
        try:
            with self.store.filling(self.bucket, wait=False) as mine:
                if mine:
                    self.store.add(self.bucket, [self.key(*part) for part in self.parts], lengths, made)
        except UserError as error:  # a cache that is somebody else's
            self.store.full = str(error)


class _Noted:
    """Passes that compute, and remember what they gave until it is written."""

    def __init__(self, lower: LowerLayers) -> None:
        self.lower = lower
        self.passes: list[tuple[Layout, Tensor]] = []

    @contextmanager
    def within(self, layout: Layout, _: int) -> Iterator[None]:
        """Note the states of a pass, and whose layout has its keys and values."""
        found: list[Tensor] = []
        with self.lower.noting(found):
            yield
        self.passes.append((layout, found[0]))

    def read(self, turn: int, layer: int | None) -> Tensor:
        """Return a part as a row of numbers."""
        if layer is None:
            return self.passes[turn][1].reshape(-1)
        return torch.cat([one.transpose(0, 1).reshape(-1) for one in self.pair(turn, layer)])

    def pair(self, turn: int, layer: int) -> Pair:
        """Return a layer's keys and values (kv heads, tokens, dim) of a pass."""
        layout = self.passes[turn][0]
        assert isinstance(layout, PrefixCache | Prefill)
        return layout.pair(layer)


class _Taken:
    """Passes that take what is kept."""

    def __init__(self, lower: LowerLayers, forms: Forms, parts: _Entry | _Noted, pairs: bool) -> None:
        self.lower, self.forms, self.parts, self.pairs, self.turn = lower, forms, parts, pairs, 0

    @contextmanager
    def within(self, layout: Layout, tokens: int) -> Iterator[None]:
        """Give the layers above their states and, where decoding goes on, the layout what lies below."""
        turn, self.turn = self.turn, self.turn + 1
        states = self.parts.read(turn, None).view(1, tokens, self.forms.width)
        if self.pairs and isinstance(layout, PrefixCache | Prefill):
            for layer in range(self.lower.count):
                layout.put(layer, self.forms.pair(layer, tokens, self.parts.read(turn, layer)))
        with self.lower.giving(states):
            yield


def kept_prompts(model: Any, config: Config) -> KeptPrompts | None:
    """Return the store of what a model's layers below `method.layers` make of test prompts; None where nothing is kept.

    Those of an untuned model are kept for others (`trainer.keep_below`). `model` is a plain one that `PackedDecoder`
    knows.
    """
    layers = config.method.layers if config.method.name == "lora" else config.trainer.keep_below
    top, limit = top_count(layers), int(config.trainer.frozen_cache_gb * 1e9)
    if top is None or not limit or model.device.type != "cpu":
        return None
    count = len(decoder_layers(model)) - top
    if count < 1:
        return None
    lower = LowerLayers(model, count)
    if any("forward" in vars(layer) for layer in lower.layers):
        return None  # somebody else stands in for them
    name, cache = lower.name("test prompts", FORMAT), Path(config.cache)
    if name not in _TRIED:
        _TRIED[name] = _tried(lower)
    forms = _TRIED[name]
    if forms is None:
        return None
    return KeptPrompts(lower, forms, lambda: make_store(cache, name, 1, forms.dtype, limit))


def _tried(lower: LowerLayers) -> Forms | None:
    """Return how what the layers give is laid out; None where passes that take it are not those that compute it."""
    try:
        with evaluating(lower.model):
            return _compared(lower)
    except REFUSALS as reason:
        log.debug("%s: %s", type(lower.model).__name__, in_a_line(reason))
        return None


class _By:
    """Lets a batch be read by passes that are given."""

    def __init__(self, below: Callable[[bool], Below]) -> None:
        self.below = below

    def read(self, _: Batch, pairs: bool, passes: Callable[[Below], Tensor]) -> Tensor:
        """Return what the passes over a batch give."""
        return passes(self.below(pairs))


def _compared(lower: LowerLayers) -> Forms | None:
    """Hold passes that take what others noted against those: in every bit, and in how keys of prefixes are laid out."""
    ids = trial_tokens(lower.model, TRIAL + 5)
    tree = label_tree(("one", "other"), ((ids[0], ids[1], ids[3]), (ids[2], ids[3])))
    rows = tuple(Row(tuple(ids[TRIAL : TRIAL + size]), 0, tree) for size in (3, 5))
    batch = Batch((tuple(ids[:TRIAL]),), rows)
    noted = {pairs: _Noted(lower) for pairs in (True, False)}
    noting = PackedDecoder(lower.model, batch, _By(lambda pairs: noted[pairs]))
    wanted = _passed(noting, ids)
    forms = _forms(lower, noted[True])
    if forms is None:
        return None
    taking = PackedDecoder(lower.model, batch, _By(lambda pairs: _Taken(lower, forms, noted[pairs], pairs)))
    found = _passed(taking, ids)
    alike = _strides(taking, lower.count) == _strides(noting, lower.count)
    return forms if alike and all(map(torch.equal, found, wanted)) else None


def _passed(decoder: PackedDecoder, ids: Sequence[int]) -> list[Tensor]:
    """Return the logits of all kinds of passes; those behind which decoding goes on come last."""
    scored = decoder.score()
    return [*scored, decoder.prefill(1), decoder.step(torch.tensor(ids[:2]))]


def _strides(decoder: PackedDecoder, count: int) -> list[list[int]]:
    """Return how the keys and values of a prefix lie in memory, which products' rounding may depend on."""
    every = [one for layer in range(count) for one in decoder.prefixes.layers[layer][0]]
    return [[s for s, size in zip(one.stride(), one.shape, strict=True) if size > 1] for one in every]


def _forms(lower: LowerLayers, noted: _Noted) -> Forms | None:
    """Return the forms of what passes gave; None where they are not of one kind of number, or states not in a row."""
    _, states = noted.passes[-1]
    pairs = [noted.pair(-1, layer) for layer in range(lower.count)]
    every = [states, *(one for pair in pairs for one in pair)]
    if any(one.dtype != states.dtype for one in every) or not states.is_contiguous():
        return None
    shapes = (tuple((one.shape[0], one.shape[2]) for one in pair) for pair in pairs)
    return Forms(states.shape[-1], states.dtype, tuple((keys, values) for keys, values in shapes))
