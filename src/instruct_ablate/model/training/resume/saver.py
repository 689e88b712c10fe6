"""The saver of a fit: restores its state, writes checkpoints between steps, and stops when told to."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from instruct_ablate.cost import Cost
from instruct_ablate.data.datamodule import PromptDataModule
from instruct_ablate.errors import Interrupted
from instruct_ablate.model.training.layers.adapted_layers import way_of
from instruct_ablate.model.training.module import InstructionModule
from instruct_ablate.model.training.progress import Curve
from instruct_ablate.model.training.resume import training_state
from instruct_ablate.model.training.resume.points import Points
from instruct_ablate.model.training.resume.stretches import Stretches, here
from instruct_ablate.process.turns import clock


@dataclass
class Meter:
    """What a fit costs, the time and tokens before a resume included."""

    curve: Curve
    before: Cost
    started: float
    points: Points | None = None  # what testing in between takes is no training

    def cost(self, steps: int) -> Cost:
        """Return the cost after so many steps."""
        aside = self.points.seconds if self.points else 0.0
        tokens = self.before.train_tokens + self.curve.tokens
        share = self.before.padding_share
        # A record holds the share alone: the padded places before a resume are worked out of it.
        padding = self.before.train_tokens * share / (1 - share) + self.curve.padding
        return Cost(
            train_seconds=self.before.train_seconds + clock() - self.started - aside,
            train_steps=steps,
            train_examples=self.before.train_examples + self.curve.examples,
            train_tokens=tokens,
            padding_share=padding / (padding + tokens) if padding else 0.0,
            point_seconds=self.before.point_seconds + aside,
        )


class Saver(Callback):
    """Writes `step-N.ckpt` every so many steps and when told to stop; begins where the last one was written."""

    def __init__(
        self, folder: Path, every: int, state: dict[str, Any] | None, data: PromptDataModule, meter: Meter
    ) -> None:
        self.folder, self.every, self.state, self.data, self.meter = folder, every, state, data, meter
        self.stop = training_state.StopRequest()
        self._stretches: Stretches | None = None
        self._listening = contextlib.ExitStack()

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Go on from the state, and listen for signals (after Lightning has set its own handlers)."""
        assert isinstance(module, InstructionModule)
        self._listening.enter_context(self.stop.listening())
        # Not before: masters and optimiser are made once the model is on its device.
        if self.state is not None:
            module.restore(self.state)
            self.state = None  # its memory is the masters' now
        place = here(trainer.strategy.root_device, module.dtype_of_products)
        self._stretches = Stretches(self.folder, self.data.first_step, place, way_of(module))

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Write a checkpoint when one is due; when told to stop, write it and stop."""
        assert isinstance(module, InstructionModule)
        reason = self._stop_reason(trainer)
        due = module.done % self.every == 0
        # After the last step the trained weights themselves are written, by the fit.
        ends = module.done >= module.steps or trainer.should_stop
        if (due or reason) and not ends:
            self._save(trainer, module)
        if reason and not ends:
            raise Interrupted(f"told to stop ({reason}) after step {module.done} of {module.steps}")

    def _stop_reason(self, trainer: Trainer) -> str | None:
        """Whether any process was told to stop: all must stop after the same step."""
        if trainer.world_size == 1:
            return self.stop.reason
        flag = torch.tensor(int(self.stop.reason is not None), device=trainer.strategy.root_device)
        torch.distributed.all_reduce(flag)
        return (self.stop.reason or "another process was") if int(flag) else None

    def _save(self, trainer: Trainer, module: InstructionModule) -> None:
        state = module.state()  # by all processes: sharded weights are put together
        if trainer.is_global_zero:
            data = {**self.data.state_dict(), "step": module.done}
            cost = asdict(self.meter.cost(module.done))
            plan = self.meter.points.plan if self.meter.points else None
            chosen = {"validation": plan.choice.state()} if plan and plan.choice else {}
            self._note()  # before the weights that it tells of
            training_state.save(self.folder, {**state, **chosen, "data": data, "cost": cost})

    def _note(self) -> None:
        if self._stretches is not None:
            self._stretches.write()

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Note what trained, and give the signals back, before Lightning gives back its own."""
        if trainer.is_global_zero:
            self._note()
        self._listening.close()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        """Give the signals back."""
        self._listening.close()
