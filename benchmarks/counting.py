"""The arithmetic that any exact method needs: each distinct token behind a distinct past once, no padding.

Of the last layer only positions whose output is used count beyond their keys and values, and the output layer is
computed for them alone. A multiply-add counts two, a backward pass twice the forward one (no activation is computed
again). Norms, activations, softmax and the optimiser are left out: they are bound by memory, not by arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

Ids = Sequence[int]
Pair = tuple[Ids, Ids]  # what is read, and what is predicted behind it, its end included


@dataclass(frozen=True, slots=True)
class Work:
    """Operations by where they are spent."""

    products: float = 0.0  # of weights with states
    attention: float = 0.0
    output: float = 0.0  # states to logits

    @property
    def total(self) -> float:
        return self.products + self.attention + self.output

    def __add__(self, other: Work) -> Work:
        return Work(
            self.products + other.products, self.attention + other.attention, self.output + other.output
        )

    def __sub__(self, other: Work) -> Work:
        return self + other.times(-1.0)

    def times(self, factor: float) -> Work:
        return Work(self.products * factor, self.attention * factor, self.output * factor)


BACK = ("none", "inputs", "all")  # what has gradients: nothing, inputs of products alone, weights too


@dataclass(frozen=True, slots=True)
class Part:
    """Operations done in one go: with so many rows, in sequences of about so many tokens, and with such gradients."""

    work: Work
    rows: int
    tokens: int
    back: str = "none"


@dataclass(frozen=True, slots=True)
class Layer:
    """Multiply-adds a token: of keys and values, of all else, and what attention multiplies a seen token with.

    The first two are as many as the weights that they read. `window`: how many tokens a query sees at most, itself
    included. `kept`: values of a token's key and value.
    """

    keys: int
    rest: int
    width: int
    window: int | None = None
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Sizes:
    """A model's layers: of a decoder-only model `decoder` alone. `crossed` are those of attention to the encoder."""

    decoder: tuple[Layer, ...]
    output: int
    encoder: tuple[Layer, ...] = ()
    crossed: tuple[Layer, ...] = ()

    @classmethod
    def of(cls, config: Any) -> Sizes:
        """Read the sizes from transformers' configuration of a LLaMA-like or a T5-like model."""
        return _t5(config) if config.is_encoder_decoder else _decoder_only(config)


def _decoder_only(config: Any) -> Sizes:
    width, heads, groups = config.hidden_size, config.num_attention_heads, config.num_key_value_heads
    dim = getattr(config, "head_dim", None) or width // heads
    rest = 2 * width * heads * dim + 3 * width * config.intermediate_size
    kinds = getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers
    windows = [config.sliding_window if kind == "sliding_attention" else None for kind in kinds]
    kept = 2 * groups * dim
    layers = tuple(Layer(width * kept, rest, heads * dim, window, kept) for window in windows)
    return Sizes(layers, width * config.vocab_size)


def _t5(config: Any) -> Sizes:
    width, inner = config.d_model, config.num_heads * config.d_kv
    feed = (3 if config.is_gated_act else 2) * width * config.d_ff
    own = Layer(2 * width * inner, 2 * width * inner + feed, inner, kept=2 * inner)
    crossed = Layer(2 * width * inner, 2 * width * inner, inner, kept=2 * inner)
    depth = config.num_decoder_layers
    return Sizes((own,) * depth, width * config.vocab_size, (own,) * config.num_layers, (crossed,) * depth)


class Tree:
    """The prefix tree of token sequences: each node is a token behind a past that no other node has."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[int, int], int] = {}
        self.depths: list[int] = []  # of each node, from 1: as many tokens as it sees, itself included
        self.parents: list[int] = []  # -1: none
        self.read: set[int] = set()  # nodes of sources, which are known before anything is predicted
        self.used: set[int] = set()  # nodes whose output is used

    def add(self, source: Ids, target: Ids) -> None:
        """Read `source`, predict `target` behind it, each token from the one before."""
        at = -1
        for place, token in enumerate(chain(source, target[:-1])):
            if (at, token) not in self._nodes:
                self._nodes[at, token] = len(self.depths)
                self.depths.append(place + 1)
                self.parents.append(at)
            at = self._nodes[at, token]
            if place < len(source):
                self.read.add(at)
            if place >= len(source) - 1:
                self.used.add(at)

    def passes(self) -> list[int]:
        """Return for each node the first pass that can read it: 0 for sources, then the one after its parent's."""
        numbers: list[int] = []
        for node, parent in enumerate(self.parents):
            numbers.append(0 if node in self.read else numbers[parent] + 1)
        return numbers


def tree_of(pairs: Iterable[Pair]) -> Tree:
    """Merge all pairs."""
    tree = Tree()
    for source, target in pairs:
        tree.add(source, target)
    return tree


def forward(sizes: Sizes, pairs: Sequence[Pair]) -> Work:
    """Return the operations of reading sources and predicting targets with the same weights, as evaluation does."""
    return _through_encoder(sizes, pairs) if sizes.encoder else _of_tree(sizes, tree_of(pairs))


def training(sizes: Sizes, steps: Iterable[Sequence[Pair]]) -> Work:
    """Return the operations of training steps, forward and backward: between steps the weights change."""
    return _sum(forward(sizes, pairs).times(3.0) for pairs in steps)


def parts_of_training(sizes: Sizes, steps: Iterable[Sequence[Pair]]) -> list[Part]:
    """Return the same as `training`, step by step."""
    return [
        Part(forward(sizes, pairs).times(3.0), distinct(sizes, pairs), mean_length(pairs, sizes), "all")
        for pairs in steps
    ]


def work_of(parts: Iterable[Part]) -> Work:
    """Return the operations of all parts."""
    return _sum(one.work for one in parts)


def distinct(sizes: Sizes, pairs: Sequence[Pair]) -> int:
    """Return how many tokens are read: of an encoder-decoder its sources' alone."""
    if not sizes.encoder:
        return len(tree_of(pairs).depths)
    return sum(length for length, _ in sources_and_trees(pairs))


def mean_length(pairs: Sequence[Pair], sizes: Sizes) -> int:
    """Return a sequence's tokens on average, at least one: of an encoder-decoder its source's alone."""
    lengths = [len(source) + (0 if sizes.encoder else len(target) - 1) for source, target in pairs]
    return max(1, round(sum(lengths) / max(1, len(lengths))))


def apart(sizes: Sizes, pairs: Iterable[Pair]) -> Work:
    """Return the operations where nothing is shared between examples, but nothing is padded either."""
    return _sum(forward(sizes, [pair]) for pair in pairs)


def _of_tree(sizes: Sizes, tree: Tree) -> Work:
    used = [tree.depths[node] for node in tree.used]
    work = Work(output=2.0 * sizes.output * len(used))
    for layer in sizes.decoder[:-1]:
        work += layer_work(layer, tree.depths, len(tree.depths))
    return work + layer_work(sizes.decoder[-1], used, len(tree.depths))


def layer_work(layer: Layer, queries: Sequence[int], keys: int) -> Work:
    """Return a layer's operations: `queries` tell how many tokens each token that goes on sees, `keys` who is seen."""
    seen = sum(min(depth, layer.window or depth) for depth in queries)
    return Work(2.0 * (layer.keys * keys + layer.rest * len(queries)), 4.0 * layer.width * seen)


def _through_encoder(sizes: Sizes, pairs: Sequence[Pair]) -> Work:
    work = Work()
    for length, tree in sources_and_trees(pairs):
        count = len(tree.depths)
        for layer in sizes.encoder:
            work += layer_work(layer, [length] * length, length)
        for own, crossed in zip(sizes.decoder, sizes.crossed, strict=True):
            work += layer_work(own, tree.depths, count) + layer_work(crossed, [length] * count, length)
        work += Work(output=2.0 * sizes.output * count)
    return work


def sources_and_trees(pairs: Sequence[Pair]) -> Iterator[tuple[int, Tree]]:
    """Yield each distinct source's length and the tree of its targets, each behind the start token."""
    trees: dict[tuple[int, ...], Tree] = {}
    for source, target in pairs:
        trees.setdefault(tuple(source), Tree()).add((-1,), target)
    return ((len(source), tree) for source, tree in trees.items())


def _sum(works: Iterable[Work]) -> Work:
    return sum(works, Work())
