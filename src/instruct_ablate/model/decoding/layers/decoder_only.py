"""A decoder-only model on a batch of packed rows: read shared prefixes once, then decode or score label trees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

from instruct_ablate.model.decoding.answers.label_tree import LabelTree
from instruct_ablate.model.decoding.answers.references import parts
from instruct_ablate.model.decoding.layers.attention import NAME, Layout, Run
from instruct_ablate.model.decoding.layers.batch import Batch, runs, tree_mask, tree_places
from instruct_ablate.model.decoding.layers.kv_cache import Behind, Prefill, PrefixCache, RowCache, Score, Step
from instruct_ablate.model.decoding.layers.ordered_weights import OrderedWeights
from instruct_ablate.model.decoding.layers.step_graph import StepGraph, captures
from instruct_ablate.model.last_layer import few, shortened
from instruct_ablate.model.transformers_internals import attending


class Below(Protocol):
    """What the passes that read a batch, its prefixes' and its rows', take for what the lowest layers give."""

    def within(self, layout: Layout, tokens: int) -> AbstractContextManager[None]:
        """Return the context of the next pass, over so many tokens."""


class Kept(Protocol):
    """Where what the lowest layers make of batches is kept."""

    def read(self, batch: Batch, pairs: bool, passes: Callable[[Below], Tensor]) -> Tensor:
        """Return what the passes over a batch give; `pairs`: decoding goes on behind its rows."""


class AllLayers:
    """Passes through all layers; nothing is kept."""

    def within(self, _: Layout, __: int) -> AbstractContextManager[None]:
        """Return a context that changes nothing."""
        return nullcontext()

    def read(self, _: Batch, __: bool, passes: Callable[[Below], Tensor]) -> Tensor:
        """Return what the passes over a batch give."""
        return passes(self)


def attending_packed(model: PreTrainedModel) -> AbstractContextManager[None]:
    """Let a model attend for many passes as a `PackedDecoder`'s do."""
    return attending(model, NAME)


class PackedDecoder:
    """Forward passes of one batch; its passes swap the model's attention and put it back.

    Within `attending_packed` the model they need not. `weights`: of batches before.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        batch: Batch,
        kept: Kept | None = None,
        weights: OrderedWeights | None = None,
    ) -> None:
        self.model, self.batch, self.kept = model, batch, kept or AllLayers()
        self.device, self.weights = model.device, (weights or OrderedWeights(model)).begin()
        self._nothing = self._tensor([0])  # layers do not run on no token
        self.prefixes = PrefixCache([len(prefix) for prefix in batch.prefixes], self._nothing)
        self.cache: RowCache | None = None
        self.steady = captures(model)
        self._graph: StepGraph | None = None
        self.positions = self._tensor([batch.prefix_length(row) + len(row.tokens) for row in batch.rows])

    def prefill(self, room: int) -> Tensor:
        """Read all rows and keep space for `room` further tokens; return the next-token logits."""
        return self.kept.read(self.batch, True, lambda below: self._prefill(room, below))

    def _prefixes(self, below: Below) -> None:
        """Read the prefixes."""
        if self.batch.prefixes:
            tokens = [token for prefix in self.batch.prefixes for token in prefix]
            places = [place for prefix in self.batch.prefixes for place in range(len(prefix))]
            with below.within(self.prefixes, len(tokens)):
                self._forward(self._tensor(tokens), self._tensor(places), self.prefixes, self._nothing)

    def _prefill(self, room: int, below: Below) -> Tensor:
        self._prefixes(below)
        rows = self.batch.rows
        lengths = self._tensor([len(row.tokens) for row in rows])
        self.cache = RowCache(self.prefixes, [row.prefix for row in rows], lengths, room, self.steady)
        self._graph = StepGraph(self.model, self.cache) if self.steady else None
        index = torch.arange(len(rows), device=self.device).repeat_interleave(lengths)
        ends = lengths.cumsum(0)
        within = torch.arange(len(index), device=self.device) - (ends - lengths)[index]
        before = self.positions - lengths
        last = few(ends - 1, len(index))
        layout = Prefill(self.cache, self._runs(False), index, within + self.cache.starts[index], last)
        tokens = self._tensor([token for row in rows for token in row.tokens])
        with below.within(layout, len(tokens)):
            return self._forward(tokens, within + before[index], layout, ends - 1)

    def step(self, tokens: Tensor) -> Tensor:
        """Read one token per row; return the next-token logits."""
        assert self.cache is not None
        self.cache.grow()
        if self._graph is None:
            with self.weights.in_use(len(tokens)):
                logits = self._step(tokens, self.positions)
        else:
            logits = self._graph(self._step, tokens, self.positions)
        self.cache.end += 1
        self.positions = self.positions + 1
        return logits

    def _step(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Read one token per row (rows,) at its position; nothing but tensors may differ from step to step."""
        assert self.cache is not None
        everyone = torch.arange(len(tokens), device=self.device)
        return self._forward(tokens, positions, Step(self.cache), everyone)

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these."""
        assert self.cache is not None
        self.cache.keep(rows)
        self.positions = self.positions[rows]

    def score(self) -> list[Tensor]:
        """Return each row's logits (1 + nodes, vocabulary): what follows the source, and each node of its tree."""
        logits = self.kept.read(self.batch, False, self._score)
        return list(torch.split(logits, [1 + row.nodes for row in self.batch.rows]))

    def _score(self, below: Below) -> Tensor:
        self._prefixes(below)
        tokens: list[int] = []
        places: list[int] = []
        wanted: list[int] = []
        for row in self.batch.rows:
            before = self.batch.prefix_length(row)
            nodes = () if row.tree is None else row.tree.tokens
            tokens += [*row.tokens, *nodes]
            places += [before + place for place in tree_places(len(row.tokens), row.tree)]
            wanted += range(len(tokens) - len(nodes) - 1, len(tokens))
        used = self._tensor(wanted)
        layout = Score(self.prefixes, self._runs(True), few(used, len(tokens)))
        with below.within(layout, len(tokens)):
            return self._forward(self._tensor(tokens), self._tensor(places), layout, used)

    def behind(self, trees: Sequence[LabelTree]) -> Iterator[Tensor]:
        """Yield the logits (1 + nodes, vocabulary) of a tree behind each row, which has been read and stays as it is.

        A row's last token is read once more, as the tree's root.
        """
        assert self.cache is not None
        for part in parts(trees, self.model.config.get_text_config().vocab_size):
            tokens: list[int] = []
            places: list[int] = []
            runs: list[tuple[int, Run]] = []
            for row, tree in zip(range(part.start, part.stop), trees[part], strict=True):
                own = self.batch.rows[row]
                before = self.batch.prefix_length(own) + len(own.tokens) - 1
                mask = tree_mask(before, 1, tree).to(self.device)
                runs.append((row, Run(len(tokens), 1, 1 + tree.size, None, mask, tree_places(1, tree))))
                tokens += [own.tokens[-1], *tree.tokens]
                places += [before + place for place in tree_places(1, tree)]
            layout = Behind(self.cache, runs)
            wanted = torch.arange(len(tokens), device=self.device)
            logits = self._forward(self._tensor(tokens), self._tensor(places), layout, wanted)
            yield from torch.split(logits, [1 + tree.size for tree in trees[part]])

    def _runs(self, trees: bool) -> list[Run]:
        joined = runs(self.batch, trees)
        return [run if run.mask is None else replace(run, mask=run.mask.to(self.device)) for run in joined]

    def _tensor(self, numbers: Sequence[int]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.long, device=self.device)

    def _forward(self, ids: Tensor, positions: Tensor, layout: Layout, wanted: Tensor) -> Tensor:
        """Return the logits (wanted, vocabulary) of one packed pass."""
        short = nullcontext() if layout.wanted is None else shortened(self.model, "layout")
        with attending(self.model, NAME), short:
            output = self.model(
                input_ids=ids[None],
                position_ids=positions[None],
                use_cache=False,
                logits_to_keep=wanted,
                layout=layout,
            )
        logits: Tensor = output.logits[0]
        return logits
