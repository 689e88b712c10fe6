"""Steps of several cells in one pass: one frozen model reads the tokens of all, each token by its cell's adapters.

Every cell has a model of its own, whose frozen weights are one and the same memory. Beside these stands the joined
model, without adapters of its own: a linear layer multiplies all tokens at once and adds to each cell's what the cell's
adapter gives. Segments do not see each other, so a cell's losses are those of its own pass, up to how a product of more
rows is rounded (the same, where this was tried). The first joined step of a cell is held to its own.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from instruct_ablate.data.device import is_on_gpu
from instruct_ablate.data.micro_batch import EffectiveBatch, MicroBatch
from instruct_ablate.errors import with_kind
from instruct_ablate.model.adapters import bare
from instruct_ablate.model.cuda_attention import determinism_put_back
from instruct_ablate.model.loading.last_loaded import SHELF, with_same_weights
from instruct_ablate.model.training.layers.dropout import Dropout
from instruct_ablate.model.training.layers.fused_layers import is_norm
from instruct_ablate.model.training.layers.joined_layers import (
    NOT_SHARED,
    JoinedLinear,
    Passing,
    adapted,
    as_joined,
    joined_batch,
    shifted,
    side_of,
    unknown_in,
)
from instruct_ablate.model.training.loss import losses_of, packed_attention_of, states_for, wanted_tokens
from instruct_ablate.model.training.module import InstructionModule, Step, random_state, set_random_state
from instruct_ablate.model.training.trainable import make_trainable
from instruct_ablate.process.turns import Turn, this_cell
from instruct_ablate.schema import Config

log = logging.getLogger(__name__)
FAULTS = 3  # joined passes that may fail before each cell goes on alone
CLOSE = {torch.float32: 1e-3, torch.bfloat16: 5e-2}  # of the norm of gradients, joined and alone


@dataclass(frozen=True)
class Unit:
    """A micro-batch and whose it is."""

    cell: Turn
    module: InstructionModule
    batch: EffectiveBatch
    part: MicroBatch


class Meeting:
    """The joined steps of cells that have one base model. `tokens`: the most of one pass; None: of a micro-batch."""

    def __init__(self, tokens: int | None = None) -> None:
        self.tokens = tokens
        self._model: Any = None
        self._passing = Passing()
        self._layers: dict[str, JoinedLinear] = {}
        # Those that train, and whether their first joined step was held to their own.
        self._cells: dict[Turn, bool] = {}
        self._threads = 1
        self._dropout: Dropout | None = None
        self._open, self._attends = ExitStack(), False
        self._faults = 0

    def begin(self, model: Any, config: Config) -> None:
        """Take a model as loaded, before it is given adapters: what all have alike."""
        if self._model is not None or not SHELF.lends(next(model.parameters())):
            return
        settings = config.trainer
        # Its weights are frozen by each cell's adapters; it is otherwise made ready as theirs are.
        frozen = replace(config, method=replace(config.method, name="full"))
        self._model = make_trainable(with_same_weights(model), frozen)
        head = self._model.get_output_embeddings()
        for name, part in self._model.named_modules():
            if type(part) is nn.Linear and part is not head:
                self._layers[name] = as_joined(part, self._passing, side_of(self._model, name))
        self._dropout = Dropout(settings.dropout, 0) if settings.dropout else None

    def enter(self, model: Any) -> None:
        """Let the asking cell's steps be joined with others', where that can be; a line in its log where not."""
        cell = this_cell()
        assert cell is not None
        shares = self._model is not None
        fault = unknown_in(bare(model), self._model, self._layers) if shares else NOT_SHARED
        if fault is not None:
            log.warning("its steps are taken alone: %s", fault)
            return
        for name, layer in adapted(bare(model)).items():
            self._layers[name].adapters[cell] = layer
        self._cells[cell], self._threads = False, torch.get_num_threads()

    def leave(self) -> None:
        """Take the asking cell's adapters out again."""
        cell = this_cell()
        if cell is not None and self._cells.pop(cell, None) is not None:
            for layer in self._layers.values():
                layer.adapters.pop(cell, None)

    def close(self) -> None:
        """Give all back."""
        self._open.close()
        self._model, self._layers = None, {}

    def meet(self, cells: Sequence[Turn]) -> None:
        """Take the steps that the cells wait for; one that is not answered takes its own by itself."""
        joining = [cell for cell in cells if cell in self._cells and _passes_whole(cell.asked)]
        if len(joining) < 2 or self._faults >= FAULTS:
            return
        passes = self._passes(joining)
        if all(len(units) == 1 for units in passes):
            return
        torch.set_num_threads(self._threads)  # as the cells have it: it is each thread's own
        try:
            with determinism_put_back():
                self._answer(joining, passes)
        except Exception as error:
            # Whoever is at fault fails in its own step, alone.
            self._faults += 1
            log.warning("a joined step failed (%s): each cell takes it alone", with_kind(error))
            for cell in joining:
                cell.answer = None
                _forget(cell.asked.module)

    def _answer(self, joining: Sequence[Turn], passes: Sequence[Sequence[Unit]]) -> None:
        if not self._attends:
            self._open.enter_context(packed_attention_of(self._model, dropout=self._dropout))
            self._norm_apart()
            self._attends = True
        totals = dict.fromkeys(joining, 0.0)
        for units in passes:
            self._pass(units, totals)
        new = [cell for cell in joining if not self._cells[cell]]
        others = [cell.name for cell in new if not _as_alone(cell.asked, totals[cell])]
        if others:
            raise ValueError(f"losses or gradients of {', '.join(others)} are not those of its own pass")
        self._cells |= dict.fromkeys(new, True)
        for cell in joining:
            cell.answer = totals[cell]
            cell.company = max(cell.company, len(joining) - 1)

    def _norm_apart(self) -> None:
        """Let norms take each unit's tokens by themselves: their backward pass rounds by how many rows there are."""
        for name, part in self._model.named_modules():
            if is_norm(part) and "forward" in vars(part):  # put there by `fused`, which takes this away too
                part.forward = partial(self._passing.apart, part.forward, side_of(self._model, name))

    def _passes(self, joining: Sequence[Turn]) -> list[list[Unit]]:
        """Lay micro-batches together within the limit: those of a cell in their order, one of each cell in a pass."""
        queues = [
            [Unit(cell, cell.asked.module, cell.asked.batch, part) for part in cell.asked.batch.micro_batches]
            for cell in joining
        ]
        limit = self.tokens or min(cell.asked.module.config.micro_batch_tokens for cell in joining)
        passes = []
        while any(queues):
            units: list[Unit] = []
            for queue in queues:
                if queue and (not units or sum(u.part.tokens for u in units) + queue[0].part.tokens <= limit):
                    units.append(queue.pop(0))
            passes.append(units)
        return passes

    def _pass(self, units: Sequence[Unit], totals: dict[Turn, float]) -> None:
        """Add the gradients of one pass to the cells' masters."""
        started = time.perf_counter()
        if len(units) == 1:
            losses = [units[0].module.part(units[0].part, units[0].batch)]
            losses[0].backward()
        else:
            losses = self._joined(units)
        told = torch.stack([loss.detach() for loss in losses]).tolist()  # at once: on a GPU it waits
        seconds = (time.perf_counter() - started) / sum(unit.part.tokens for unit in units)
        for unit, loss in zip(units, told, strict=True):
            totals[unit.cell] += loss
            unit.cell.share += seconds * unit.part.tokens

    def _joined(self, units: Sequence[Unit]) -> list[Tensor]:
        batch = joined_batch([unit.part for unit in units])
        drop = self._dropout
        if drop is not None:
            drop.begin_all([(unit.module.seed, unit.batch.step, unit.part) for unit in units])
        wanted = _wanted(units) if drop is None and batch.encoder is None else None
        places = None if wanted is None else torch.cat(shifted(wanted, [u.part.decoder.total for u in units]))
        lengths = None if wanted is None else [len(one) for one in wanted]
        with self._passing.of([unit.cell for unit in units], [unit.part for unit in units], lengths):
            states = states_for(self._model, batch, drop, places)
            pieces = torch.split(states, [len(unit.part.rows) for unit in units])
            losses = [
                unit.module.counted(losses_of(piece, unit.part.labels, self._model), unit.part, unit.batch)
                for unit, piece in zip(units, pieces, strict=True)
            ]
            torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        return losses


def prepare(model: Any, config: Config) -> None:
    """Tell the cells beside this one, where there are any, of a model as loaded; before it is given adapters.

    Weights that cells share are where they train before any of them begins: they can be in one place only.
    """
    cell = this_cell()
    if cell is not None and cell.meeting is not None:
        if is_on_gpu(config.trainer):
            model.to("cuda")
        cell.meeting.begin(model, config)


@contextmanager
def joining(model: Any, module: InstructionModule) -> Iterator[None]:
    """Let this cell's steps be joined with those of others, where there are any, while `module` trains `model`."""
    cell = this_cell()
    if cell is None or cell.meeting is None:
        yield
        return
    cell.meeting.enter(model)
    # Lightning takes a module back to the processor when its fit ends, and with it the weights that others train on.
    vars(module)["cpu"] = lambda: module
    try:
        yield
    finally:
        del vars(module)["cpu"]
        cell.meeting.leave()


def generators() -> Any:
    """Return the state of all generators that a cell might draw from."""
    return random_state(), random.getstate(), np.random.get_state()


def set_generators(state: Any) -> None:
    """Set them."""
    set_random_state(state[0])
    random.setstate(state[1])
    np.random.set_state(state[2])


def _wanted(units: Sequence[Unit]) -> list[Tensor] | None:
    """Return which tokens' last layer each unit needs, as it would alone; None: all of all."""
    chosen = [wanted_tokens(unit.part) for unit in units]
    if all(one is None for one in chosen):
        return None
    return [
        torch.arange(unit.part.decoder.total, device=unit.part.rows.device) if one is None else one
        for unit, one in zip(units, chosen, strict=True)
    ]


def _passes_whole(step: Step) -> bool:
    """Whether a cell's tokens pass through all layers, packed; those that have frozen layers' states need not."""
    return step.module.losses.packing and step.module.losses.kept is None


def _as_alone(step: Step, loss: float) -> bool:
    """Whether a joined step gave what the cell's own pass gives, which is taken now; what it gave stays.

    One that is not finite in its own pass has to be so in the joined one: the cell then fails as it would alone.
    """
    masters = _masters(step.module)
    found = [master.grad for master in masters]
    _forget(step.module)
    try:
        wanted = step.module.alone(step.batch)
        if not np.isfinite(wanted):
            return not np.isfinite(loss)
        bound = CLOSE.get(step.module.dtype_of_products, CLOSE[torch.bfloat16])
        norm, apart = 0.0, 0.0
        for master, joint in zip(masters, found, strict=True):
            own = torch.zeros_like(master) if master.grad is None else master.grad
            norm += float(own.square().sum())
            apart += float((own if joint is None else joint - own).square().sum())
        return abs(loss - wanted) <= bound * max(1.0, abs(wanted)) and apart**0.5 <= bound * norm**0.5 + 1e-12
    finally:
        for master, joint in zip(masters, found, strict=True):
            master.grad = joint


def _masters(module: InstructionModule) -> list[nn.Parameter]:
    assert module.weights is not None
    return module.weights.masters


def _forget(module: InstructionModule) -> None:
    for master in _masters(module):
        master.grad = None
