"""The Lightning module: one effective batch is one optimiser step, however it is divided."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from transformers import PreTrainedModel

from instruct_ablate.data.micro_batch import NO_PARENT, EffectiveBatch, MicroBatch, Packed
from instruct_ablate.disk.learning_curve import LOGGED
from instruct_ablate.errors import UserError
from instruct_ablate.model.training.layers.dropout import Dropout
from instruct_ablate.model.training.loss import TokenLosses
from instruct_ablate.model.training.master_weights import MasterWeights
from instruct_ablate.model.training.optimizer import build_optimizer, build_schedule, learning_rate
from instruct_ablate.model.training.strategies import is_sharded, sharded_like, whole
from instruct_ablate.model.training.trainable import state_of_trained
from instruct_ablate.process.turns import this_cell
from instruct_ablate.schema import TrainerConfig

FP16_SCALE = 2.0**14  # of the loss, so that small gradients do not vanish in fp16; halved where they overflow


@dataclass(frozen=True)
class Step:
    """What a cell asks others to do with it: gather a step's gradients in its masters; the answer is its loss."""

    module: InstructionModule
    batch: EffectiveBatch


class InstructionModule(LightningModule):
    """Fine-tunes a model on target tokens.

    Optimisation is manual: the loss of a step is the sum over its target tokens divided by their number, over all
    micro-batches and processes, so the result depends on neither, and checkpoints lie between steps only. With
    `trainer.loss=per_example` each example's tokens count 1 together, and the sum is divided by the examples. Prompt
    tokens count as `trainer.prompt_loss_weight` says, and what the step's tokens count together is what is divided by.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        config: TrainerConfig,
        steps: int,
        packing: bool = True,
        products: torch.dtype | None = None,
        dropout: Dropout | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.losses = TokenLosses(model, packing, dropout)
        self.config = config
        self.steps = steps
        self.done = 0  # optimiser steps, those before a resume included
        self.loss = math.nan  # of the last step
        self.rate = 0.0  # its learning rate
        self.dtype_of_products = products or next(model.parameters()).dtype
        self.scale = FP16_SCALE if self.dtype_of_products == torch.float16 else 1.0
        self.weights: MasterWeights | None = None
        self.optimizer: torch.optim.Optimizer | None = None
        self.schedule: torch.optim.lr_scheduler.LambdaLR | None = None
        self.seed = dropout.seed if dropout is not None else 0
        self.norm: float | None = None  # of the last step's gradients, before they were clipped

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make masters, optimiser and schedule; Lightning calls this once the model is on its device."""
        self.weights = MasterWeights(self.losses.parameters())
        self.losses.master_of = self.weights.master_of
        self.optimizer = build_optimizer(self.weights.masters, self.config)
        self.schedule = build_schedule(self.optimizer, self.config, self.steps)
        return self.optimizer

    def training_step(self, batch: EffectiveBatch, batch_index: int) -> None:
        """Take one optimiser step."""
        self.rate = learning_rate(self._optimizer)
        self.loss = self._gradients(batch)
        # Before the optimiser's step: no such number gets into weights or a checkpoint.
        if not math.isfinite(self.loss):
            raise UserError(
                f"the loss became {self.loss} at step {self.done + 1} of {self.steps} (learning rate "
                f"{self.rate:g}). Try {self._steadier()}."
            )
        self._step()
        self.done += 1
        values = {"loss": self.loss, "learning_rate": self.rate}
        values |= {} if self.norm is None else {"grad_norm": self.norm}
        # Lightning counts the steps of its trainer, and who goes on has a new one; loggers put a row at "step".
        values = {f"{LOGGED}{name}": value for name, value in values.items()} | {"step": float(self.done)}
        self.log_dict(values, on_step=True, on_epoch=False, batch_size=batch.examples)

    def _steadier(self) -> str:
        """Name what may help: of clipping and precision only what is not so already."""
        ways = ["a lower trainer.learning_rate", "trainer.warmup_steps"]
        ways += ["trainer.gradient_clip=1"] if self.config.gradient_clip is None else []
        ways += ["trainer.precision=fp32"] if self.dtype_of_products != torch.float32 else []
        return f"{', '.join(ways[:-1])} or {ways[-1]}"

    def _gradients(self, batch: EffectiveBatch) -> float:
        """Gather the step's gradients in the masters; return its loss. fp16: again where they overflowed."""
        cell = this_cell()
        answer = None if cell is None else cell.ask(Step(self, batch))
        if answer is not None:
            return float(answer)
        loss = self.alone(batch)
        # A loss that is no number does not come of the scale: `training_step` refuses it.
        while self.scale > 1.0 and math.isfinite(loss) and not self._weights.finite():
            self.scale /= 2
            self._optimizer.zero_grad(set_to_none=True)
            loss = self.alone(batch)
        # Before clipping, whose bound is for the gradients' own norm.
        if self.scale != 1.0:
            self._weights.multiply(1 / self.scale)
        return loss

    def alone(self, batch: EffectiveBatch) -> float:
        """Sum gradients over micro-batches and processes; return the step's loss."""
        total = torch.zeros((), dtype=torch.float32, device=self.device)
        sharded = is_sharded(self._weights.masters[0])
        # Sharded gradients are averaged over processes as they come: what is averaged must be their number as much.
        factor = self.scale * (self._world_size if sharded else 1)
        for micro_batch, counts in self._rounds(batch, sharded):
            loss = self.part(micro_batch, batch) * counts
            (loss * factor).backward()
            total += loss.detach()
        if self._world_size > 1:
            torch.distributed.all_reduce(total)
            if not sharded:
                self._weights.sum_over_processes()
        # Read once a step, not a micro-batch: a GPU is waited for.
        return float(total)

    def part(self, micro_batch: MicroBatch, batch: EffectiveBatch) -> Any:
        """Return what a micro-batch adds to its step's loss."""
        return self.counted(self.losses(micro_batch, batch.step), micro_batch, batch)

    def counted(self, losses: Tensor, micro_batch: MicroBatch, batch: EffectiveBatch) -> Any:
        """Return what the losses (targets,) of a micro-batch's tokens add to its step's loss."""
        if micro_batch.weights is not None:
            return (losses * micro_batch.weights).sum() / batch.weight
        if self.config.loss == "per_token":
            # A division would round otherwise: finished cells' losses are those of this product, to the bit.
            return losses.sum() * (1.0 / batch.target_tokens)
        lengths = torch.bincount(micro_batch.owners)
        return (losses / lengths[micro_batch.owners]).sum() / batch.examples

    def _rounds(self, batch: EffectiveBatch, sharded: bool) -> list[tuple[MicroBatch, float]]:
        """Return micro-batches and what they count.

        Sharded processes must pass through the model together: who has fewer goes along with one that counts 0.
        """
        own = [(micro_batch, 1.0) for micro_batch in batch.micro_batches]
        if not sharded:
            return own
        most = torch.tensor(len(own), device=self.device)
        torch.distributed.all_reduce(most, torch.distributed.ReduceOp.MAX)
        idle = idle_batch(bool(self.losses.model.config.is_encoder_decoder)).to(self.device)
        return own + [(idle, 0.0)] * (int(most) - len(own))

    def _step(self) -> None:
        masters = self._weights.masters
        if self.config.gradient_clip is not None:
            self.norm = float(whole(clip_grad_norm_(masters, self.config.gradient_clip)))
        # Through Lightning's wrapper: by its steps the trainer counts up to `max_steps`.
        optimizer: Any = self.optimizers()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        assert self.schedule is not None
        self.schedule.step()
        self._weights.publish()

    def state(self) -> dict[str, Any]:
        """Return all that the next step depends on; where weights are sharded, all processes must ask."""
        assert self.schedule is not None
        return {
            "step": self.done,
            "masters": self._weights.state(),
            "optimizer": _changed(self._optimizer.state_dict(), whole),
            "schedule": self.schedule.last_epoch,
            "scale": self.scale,
            "random": random_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`; the next step is the one that an uninterrupted fit would have taken."""
        assert self.schedule is not None
        state = state_of_trained(state, self.losses.model)
        self._weights.load(state["masters"])
        inner = state["optimizer"]["state"]
        for place, master in enumerate(self._weights.masters):
            # Whole in the checkpoint, and divided among processes as the masters are.
            if place in inner:
                inner[place] = {name: _like(value, master) for name, value in inner[place].items()}
        self._optimizer.load_state_dict(state["optimizer"])
        self.schedule.last_epoch = state["schedule"]
        # A schedule gives the optimiser its rate when it takes a step, and none is taken here.
        for group, factor in zip(self._optimizer.param_groups, self.schedule.lr_lambdas, strict=True):
            group["lr"] = group["initial_lr"] * factor(state["schedule"])
        self.done = state["step"]
        self.scale = state["scale"]
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


def idle_batch(encoder_decoder: bool) -> MicroBatch:
    """Return the smallest micro-batch there is: one token."""
    nought = torch.zeros(1, dtype=torch.int64)
    packed = Packed(nought, nought, torch.tensor([0, 1], dtype=torch.int32), (1,), (NO_PARENT,))
    return MicroBatch(packed, nought, nought, nought, nought, (0,), packed if encoder_decoder else None)


def _changed(tree: Any, change: Any) -> Any:
    """Apply `change` to every tensor of an optimiser's state."""
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, dict):
        return {key: _changed(value, change) for key, value in tree.items()}
    return tree


def _like(value: Any, master: Tensor) -> Any:
    return sharded_like(value, master) if isinstance(value, Tensor) else value


def random_state() -> dict[str, Any]:
    """Return the state of torch's generators, of every device."""
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": devices}


def set_random_state(state: dict[str, Any]) -> None:
    """Set torch's generators; of GPUs, those that are seen here: of several a pool lends its processes one each."""
    cpu: Tensor = state["cpu"]
    torch.set_rng_state(cpu.cpu())
    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for device, own in zip(range(seen), state["cuda"], strict=False):
        torch.cuda.set_rng_state(own, device)
