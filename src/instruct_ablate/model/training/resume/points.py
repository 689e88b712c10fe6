"""Points of a fit at which the model is tested between two steps: afterwards nothing is as if it had been."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from instruct_ablate.model.adapters import bare
from instruct_ablate.model.modes import evaluating
from instruct_ablate.model.training.loss import PackedAttention
from instruct_ablate.model.training.module import InstructionModule, random_state, set_random_state
from instruct_ablate.model.training.resume.best_weights import BestWeights, Choice


@dataclass(frozen=True, slots=True)
class Plan:
    """After which steps the model is tested, and what does it."""

    due: Collection[int]
    test: Callable[[int], Mapping[str, float]]
    choice: Choice | None = None  # of the best weights, by the measure that the test returns
    measure: str = ""


class Points(Callback):
    """Has the model tested after the steps of a plan; `seconds` is how long that took.

    It stands before the saver, so that a checkpoint's points are all on disk: a fit that goes on takes later ones anew.
    """

    def __init__(
        self, plan: Plan, model: Any, attention: PackedAttention, first_step: int, best: BestWeights
    ) -> None:
        self.plan, self.model, self.attention, self.first_step = plan, model, attention, first_step
        self.best = best
        self.seconds = 0.0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Test the model before its first step, where that is planned."""
        assert isinstance(module, InstructionModule)
        # A fit that goes on has been tested so when it began.
        if self.first_step == 0:
            self._take(trainer, module, 0)

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Test the model where that is planned after this step."""
        assert isinstance(module, InstructionModule)
        self._take(trainer, module, module.done)

    def _take(self, trainer: Trainer, module: InstructionModule, step: int) -> None:
        """Test by the first process; the others wait for it in their next step, or to hear whether to stop."""
        if step not in self.plan.due:
            return
        if trainer.is_global_zero:
            self._test(module, step)
        choice = self.plan.choice
        # All processes must come to a broadcast: whether there is one follows from the plan alone.
        if choice is not None and choice.patience is not None:
            stops = choice.stops if trainer.world_size == 1 else trainer.strategy.broadcast(choice.stops)
            trainer.should_stop = trainer.should_stop or stops

    def _test(self, module: InstructionModule, step: int) -> None:
        """Test the model, and keep its weights where they are the best so far."""
        started = time.perf_counter()
        with self.attention.left(), _undisturbed(self.model):
            values = self.plan.test(step)
        choice = self.plan.choice
        if choice is not None and choice.add(step, values[self.plan.measure]):
            assert module.weights is not None
            self.best.save(step, module.weights.state())
        self.seconds += time.perf_counter() - started


@contextmanager
def _undisturbed(model: Any) -> Iterator[None]:
    """Put back what a test might change: modes, the model's cache, random generators, threads."""
    config, threads = bare(model).config, torch.get_num_threads()
    cached, states = config.use_cache, (random_state(), random.getstate(), np.random.get_state())
    config.use_cache = True
    try:
        with evaluating(model):
            yield
    finally:
        config.use_cache = cached
        torch.set_num_threads(threads)
        set_random_state(states[0])
        random.setstate(states[1])
        np.random.set_state(states[2])
