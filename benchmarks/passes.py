"""What each pass of decoding token by token must compute and must read from memory: a second limit beside arithmetic.

A step of few rows multiplies little with each weight, and yet has to read them all. So a pass takes at least the longer
of its arithmetic at a large product's rate and of its values at the rate at which memory is read. Each pass reads each
weight of its products once, and once each key and value of earlier passes that one of its tokens sees. All prompts are
decoded side by side, whatever memory that takes, and each distinct token behind a distinct past is read in the first
pass that can know it: no exact method that reads a token a pass needs less. Rows of embeddings, norms, activations and
what is written are left out. Multiply-adds of all passes sum to those of benchmarks/counting.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from benchmarks.counting import (
    Layer,
    Pair,
    Part,
    Sizes,
    Tree,
    Work,
    distinct,
    forward,
    layer_work,
    mean_length,
    sources_and_trees,
    tree_of,
)


@dataclass(frozen=True, slots=True)
class Pass:
    """Operations, and the weights, keys and values that are read; `rows`: how many tokens go through."""

    work: Work
    values: int
    rows: int = field(default=0, compare=False)

    def seconds(self, rate: float, values_a_second: float) -> float:
        """Return the least seconds at so many operations and values read a second."""
        return max(self.work.total / rate, self.values / values_a_second)

    def bound_by_reading(self, rate: float, values_a_second: float) -> bool:
        """Whether reading takes longer than computing."""
        return self.values / values_a_second > self.work.total / rate


def of_labels(sizes: Sizes, pairs: Sequence[Pair]) -> list[Pass]:
    """Return the one pass that scores known targets: an encoder-decoder's weights are all read in it."""
    crossed = weights(sizes.crossed)
    values = weights(sizes.encoder) + weights(sizes.decoder) + crossed + sizes.output
    return [Pass(forward(sizes, pairs), values, distinct(sizes, pairs))]


def of_greedy(sizes: Sizes, pairs: Sequence[Pair]) -> list[Pass]:
    """Return the passes that read sources and then write targets, which are known a token a pass."""
    return _through_encoder(sizes, pairs) if sizes.encoder else _decoder_only(sizes, tree_of(pairs))


def weights(layers: Iterable[Layer]) -> int:
    """Return how many weights the products of layers have."""
    return sum(layer.keys + layer.rest for layer in layers)


def _decoder_only(sizes: Sizes, tree: Tree) -> list[Pass]:
    passes = []
    for nodes in by_pass(tree.passes()):
        used = [tree.depths[node] for node in nodes if node in tree.used]
        depths = [tree.depths[node] for node in nodes]
        work = Work(output=2.0 * sizes.output * len(used))
        for layer in sizes.decoder[:-1]:
            work += layer_work(layer, depths, len(nodes))
        work += layer_work(sizes.decoder[-1], used, len(nodes))
        values = weights(sizes.decoder) + sizes.output
        passes.append(Pass(work, values + _earlier(sizes.decoder, tree, nodes), len(nodes)))
    return passes


def _through_encoder(sizes: Sizes, pairs: Sequence[Pair]) -> list[Pass]:
    """Return the pass through the encoder, which makes the decoder's keys and values of the sources, and the steps."""
    crossed_keys = sum(layer.keys for layer in sizes.crossed)
    encoded, steps = Work(), []
    for length, tree in sources_and_trees(pairs):
        encoded += Work(2.0 * crossed_keys * length)
        for layer in sizes.encoder:
            encoded += layer_work(layer, [length] * length, length)
        steps.append(list(_steps(sizes, length, tree)))
    values = weights(sizes.decoder) + sum(layer.rest for layer in sizes.crossed) + sizes.output
    together = [
        Pass(
            sum((one.work for one in some), Work()),
            values + sum(one.values for one in some),
            sum(one.rows for one in some),
        )
        for some in zip_longest(*steps, fillvalue=Pass(Work(), 0))
    ]
    return [Pass(encoded, weights(sizes.encoder) + crossed_keys, distinct(sizes, pairs)), *together]


def _steps(sizes: Sizes, length: int, tree: Tree) -> Iterator[Pass]:
    """Yield what the passes over one source's targets compute and read, weights apart."""
    for nodes in by_pass(tree.passes()):
        depths = [tree.depths[node] for node in nodes]
        work = Work(output=2.0 * sizes.output * len(nodes))
        for own, crossed in zip(sizes.decoder, sizes.crossed, strict=True):
            work += layer_work(own, depths, len(nodes)) + layer_work(crossed, [length] * len(nodes), 0)
        values = length * sum(layer.kept for layer in sizes.crossed)
        yield Pass(work, values + _earlier(sizes.decoder, tree, nodes), len(nodes))


def parts_of(sizes: Sizes, pairs: Sequence[Pair], passes: Sequence[Pass]) -> list[Part]:
    """Return the passes over `pairs` as parts."""
    return [Part(one.work, one.rows, mean_length(pairs, sizes)) for one in passes]


def by_pass(known: Sequence[int]) -> list[list[int]]:
    """Return the nodes of each pass."""
    nodes: list[list[int]] = [[] for _ in range(max(known, default=-1) + 1)]
    for node, number in enumerate(known):
        nodes[number].append(node)
    return nodes


def _earlier(layers: Sequence[Layer], tree: Tree, nodes: Sequence[int]) -> int:
    """Return how many values of keys and values a pass over `nodes` sees that are not of its own."""
    seen = {window: _seen(tree, nodes, window) for window in {layer.window for layer in layers}}
    return sum(layer.kept * seen[layer.window] for layer in layers)


def _seen(tree: Tree, nodes: Sequence[int], window: int | None) -> int:
    """Return how many other nodes these see; a node's window counts itself."""
    found: set[int] = set()
    for node in nodes:
        at, left = tree.parents[node], tree.depths[node] if window is None else window - 1
        while at >= 0 and left > 0 and not (window is None and at in found):
            found.add(at)
            at, left = tree.parents[at], left - 1
    return len(found.difference(nodes))
