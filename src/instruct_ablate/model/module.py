"""The Lightning module: one effective batch is one optimiser step, however it is divided."""

from __future__ import annotations

import math
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from transformers import PreTrainedModel

from instruct_ablate.data.micro_batch import EffectiveBatch
from instruct_ablate.errors import UserError
from instruct_ablate.model.optimizer import build_optimizer, build_schedule, learning_rate
from instruct_ablate.model.packed_forward import token_losses
from instruct_ablate.model.weights import MasterWeights
from instruct_ablate.schema import TrainerConfig


class InstructionModule(LightningModule):
    """Fine-tunes a model on target tokens.

    Optimisation is manual: the loss of a step is the sum over its target tokens divided by their number, over all
    micro-batches and processes, so the result depends on neither, and checkpoints lie between steps only.
    """

    def __init__(self, model: PreTrainedModel, config: TrainerConfig, steps: int) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.config = config
        self.steps = steps
        self.done = 0  # optimiser steps, those before a resume included
        self.loss = math.nan  # of the last step
        self.weights: MasterWeights | None = None
        self.optimizer: torch.optim.Optimizer | None = None
        self.schedule: torch.optim.lr_scheduler.LambdaLR | None = None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make masters, optimiser and schedule; Lightning calls this once the model is on its device."""
        self.weights = MasterWeights(self.model.parameters())
        self.optimizer = build_optimizer(self.weights.masters, self.config)
        self.schedule = build_schedule(self.optimizer, self.config, self.steps)
        return self.optimizer

    def training_step(self, batch: EffectiveBatch, batch_index: int) -> None:
        """Take one optimiser step."""
        rate = learning_rate(self._optimizer)
        self.loss = self._backward(batch)
        if not math.isfinite(self.loss):
            raise UserError(
                f"the loss became {self.loss} at step {self.done + 1} of {self.steps} (learning rate {rate:g}). "
                "Try a lower trainer.learning_rate, trainer.warmup_steps, or trainer.precision=fp32."
            )
        self._step()
        self.done += 1
        values = {"loss": self.loss, "learning_rate": rate}
        self.log_dict(values, on_step=True, on_epoch=False, batch_size=batch.examples)

    def _backward(self, batch: EffectiveBatch) -> float:
        """Sum gradients over micro-batches and processes; return the step's loss."""
        total = torch.zeros((), dtype=torch.float32, device=self.device)
        for micro_batch in batch.micro_batches:
            loss = token_losses(self.model, micro_batch).sum() / batch.target_tokens
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        if self._world_size > 1:
            torch.distributed.all_reduce(total)
            self._weights.sum_over_processes()
        return float(total)

    def _step(self) -> None:
        masters = self._weights.masters
        if self.config.gradient_clip is not None:
            clip_grad_norm_(masters, self.config.gradient_clip)
        optimizer: Any = self.optimizers()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        assert self.schedule is not None
        self.schedule.step()
        self._weights.publish()

    def state(self) -> dict[str, Any]:
        """Return all that the next step depends on."""
        assert self.schedule is not None
        return {
            "step": self.done,
            "masters": [master.detach() for master in self._weights.masters],
            "optimizer": self._optimizer.state_dict(),
            "schedule": self.schedule.last_epoch,
            "random": random_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`; the next step is the one that an uninterrupted fit would have taken."""
        assert self.schedule is not None
        self._weights.load(state["masters"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.schedule.last_epoch = state["schedule"]
        for group, factor in zip(self._optimizer.param_groups, self.schedule.lr_lambdas, strict=True):
            group["lr"] = group["initial_lr"] * factor(state["schedule"])
        self.done = state["step"]
        set_random_state(state["random"])

    @property
    def _weights(self) -> MasterWeights:
        assert self.weights is not None
        return self.weights

    @property
    def _optimizer(self) -> torch.optim.Optimizer:
        assert self.optimizer is not None
        return self.optimizer

    @property
    def _world_size(self) -> int:
        return int(self.trainer.world_size)


def random_state() -> dict[str, Any]:
    """Return the state of torch's generators, of every device."""
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": devices}


def set_random_state(state: dict[str, Any]) -> None:
    """Set torch's generators."""
    cpu: Tensor = state["cpu"]
    torch.set_rng_state(cpu.cpu())
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
