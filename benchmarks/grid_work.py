"""The arithmetic that no exact method can leave out of a whole grid of cells, what cells share taken once.

All cells begin with the same weights: what those give - of each cell's first step, of the untuned model's test - counts
once for the whole grid, and so does a first step's backward pass for each token behind its past. Later steps and tests
of trained weights count each by itself, what is shared within them once. With adapters in the top layers alone, all
below gives the same for every step, test and cell: each token behind its past passes it once in the whole grid, forward
only; so do queries, keys and values of the lowest layer that is adapted, before their adapters. Of the layers above,
frozen weights have no gradients, only their inputs do. What else a method shares between cells would differ in bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from benchmarks.counting import (
    Layer,
    Pair,
    Part,
    Sizes,
    Tree,
    Work,
    forward,
    layer_work,
    mean_length,
    parts_of_training,
    tree_of,
)
from benchmarks.passes import by_pass, of_greedy, parts_of

MANY = 10**6  # rows: what all cells share can be done in products as large as one likes


@dataclass(frozen=True, slots=True)
class CellWork:
    """What a cell trains on, step by step, and what it reads and writes in its test."""

    steps: tuple[tuple[Pair, ...], ...]  # none: untuned
    tested: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Adapters:
    """LoRA beside all linear layers of the top `count` layers.

    `layer`: multiply-adds of a layer's adapters a token, as `Layer` has them; `queries` of the layer's own product for
    queries; `folding` of folding one layer's adapters into its weights; `lowest` of gradients that no one needs: those
    of the inputs of queries', keys' and values' adapters, in the lowest layer.
    """

    count: int
    layer: Layer
    queries: int
    folding: int
    lowest: int

    @classmethod
    def of(cls, config: Any, count: int, rank: int) -> Adapters:
        """Read them from transformers' configuration of a LLaMA-like model."""
        width, inner = config.hidden_size, config.intermediate_size
        dim = getattr(config, "head_dim", None) or width // config.num_attention_heads
        heads, kept = config.num_attention_heads * dim, config.num_key_value_heads * dim
        keys = [(width, kept)] * 2
        rest = [(width, heads), (heads, width), (width, inner), (width, inner), (inner, width)]
        sums = [rank * sum(map(sum, some)) for some in (keys, rest)]
        folding = rank * sum(one * other for one, other in (*keys, *rest))
        return cls(count, Layer(sums[0], sums[1], 0), width * heads, folding, 3 * rank * width)


def full_tuning(sizes: Sizes, cells: Sequence[CellWork]) -> list[Part]:
    """Return the operations of a grid that trains all weights."""
    first, untuned, length = _begun(sizes, cells)
    writing = of_greedy(sizes, untuned)[1:] if untuned else []
    reading = forward(sizes, [*first, *untuned]) - _sum(one.work for one in writing)
    found = [Part(reading, MANY, length), *parts_of(sizes, untuned, writing)]
    found.append(Part(forward(sizes, first).times(2.0), MANY, length, "all"))
    found += parts_of_training(sizes, (step for cell in cells for step in cell.steps[1:]))
    for cell in cells:
        if cell.steps:
            found += parts_of(sizes, cell.tested, of_greedy(sizes, cell.tested))
    return found


def top_adapters(sizes: Sizes, adapters: Adapters, cells: Sequence[CellWork]) -> list[Part]:
    """Return the operations of a grid that trains adapters in a decoder's top layers."""
    upper, lower = sizes.decoder[-adapters.count :], sizes.decoder[: -adapters.count]
    every = tree_of(chain.from_iterable(chain(*cell.steps, cell.tested) for cell in cells))
    first, untuned, length = _begun(sizes, cells)
    above, begun, started = _Above(upper, sizes.output, adapters), tree_of(first), tree_of([*first, *untuned])
    # Adapters give nothing yet: of theirs a third is enough, what goes in and what its gradient is made of.
    found = [
        Part(_once(lower, upper[0], adapters, every), MANY, length),
        Part(above.forward(started), MANY, length),
        Part(above.backward(begun) + above.beside(begun), MANY, length, "inputs"),
    ]
    for cell in cells:
        for step in cell.steps[1:]:
            tree = tree_of(step)
            work = above.forward(tree) + above.backward(tree) + above.beside(tree).times(3.0)
            work += Work(-2.0 * adapters.lowest * len(tree.depths))
            found.append(Part(work, len(tree.depths), mean_length(step, sizes), "inputs"))
        if cell.steps:
            found += above.tested(tree_of(cell.tested), mean_length(cell.tested, sizes))
    return found


def _begun(sizes: Sizes, cells: Sequence[CellWork]) -> tuple[list[Pair], list[Pair], int]:
    """Return what meets the weights that all begin with, in training and in tests, and its mean length."""
    first = [pair for cell in cells for step in cell.steps[:1] for pair in step]
    untuned = [pair for cell in cells if not cell.steps for pair in cell.tested]
    return first, untuned, mean_length([*first, *untuned], sizes)


def _once(lower: Sequence[Layer], lowest: Layer, adapters: Adapters, tree: Tree) -> Work:
    """Return the operations of what is frozen for all: layers, and the next one's queries, keys and values."""
    count = len(tree.depths)
    asking = len(tree.used) if adapters.count == 1 else count  # the lowest one may be the last, too
    products = 2.0 * (count * lowest.keys + asking * adapters.queries)
    return _sum(layer_work(layer, tree.depths, count) for layer in lower) + Work(products)


@dataclass(frozen=True, slots=True)
class _Above:
    """The layers that adapters stand in, and the output layer."""

    layers: Sequence[Layer]
    output: int
    adapters: Adapters

    def forward(self, tree: Tree, nodes: Sequence[int] | None = None) -> Work:
        """Return the operations of frozen weights, the lowest layer's queries, keys and values left out.

        Of all nodes, or of some.
        """
        first, *others = self.layers
        lowest = Layer(0, first.rest - self.adapters.queries, first.width, first.window)
        used = len(tree.used) if nodes is None else len(tree.used.intersection(nodes))
        return self._through([lowest, *others], tree, nodes) + Work(output=2.0 * self.output * used)

    def backward(self, tree: Tree) -> Work:
        """Return those of gradients of what goes into frozen weights; attention's products have two each."""
        forward = self.forward(tree)
        return Work(forward.products, 2.0 * forward.attention, forward.output)

    def beside(self, tree: Tree, nodes: Sequence[int] | None = None) -> Work:
        """Return those of the adapters, forward."""
        return self._through([self.adapters.layer] * len(self.layers), tree, nodes)

    def tested(self, tree: Tree, length: int) -> list[Part]:
        """Return those of a test, pass by pass; adapters are folded in or not, whichever is less."""
        folded = Work(2.0 * self.adapters.folding * self.adapters.count)
        folds = folded.total < self.beside(tree).total
        passes = [
            Part(
                self.forward(tree, nodes) + (Work() if folds else self.beside(tree, nodes)),
                len(nodes),
                length,
            )
            for nodes in by_pass(tree.passes())
        ]
        return [*passes, Part(folded, MANY, length)] if folds else passes

    def _through(self, layers: Sequence[Layer], tree: Tree, nodes: Sequence[int] | None) -> Work:
        chosen = range(len(tree.depths)) if nodes is None else nodes
        depths = [tree.depths[node] for node in chosen]
        used = [tree.depths[node] for node in chosen if node in tree.used]
        below = _sum(layer_work(layer, depths, len(depths)) for layer in layers[:-1])
        return below + layer_work(layers[-1], used, len(depths))


def _sum(works: Iterable[Work]) -> Work:
    return sum(works, Work())
