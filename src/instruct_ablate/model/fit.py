"""The fit: prompts and a checkpoint to trained weights, resumable at every step, through Lightning's trainer."""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import Logger

from instruct_ablate.cell.record import Cost
from instruct_ablate.data.datamodule import PromptDataModule
from instruct_ablate.data.encoding import Encoding
from instruct_ablate.data.store import token_store
from instruct_ablate.errors import Interrupted
from instruct_ablate.model import resume
from instruct_ablate.model.adapter import adapt, merged
from instruct_ablate.model.checkpoint import Checkpoint
from instruct_ablate.model.module import InstructionModule
from instruct_ablate.model.packed_forward import packed_attention_of
from instruct_ablate.model.progress import Bar, Curve
from instruct_ablate.model.trainer_check import check_trainer
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config

__all__ = ["check_trainer", "fit"]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Place:
    """Where a fit keeps its files."""

    folder: Path

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def trained(self) -> Path:
        return self.checkpoints / resume.TRAINED


def fit(
    checkpoint: Checkpoint,
    prompts: Sequence[Prompt],
    config: Config,
    folder: Path,
    loggers: Sequence[Logger] = (),
) -> Cost:
    """Train `checkpoint.model` in place on `prompts` and return what it cost.

    Goes on from `folder`/checkpoints where an earlier fit of the same cell was stopped; raises `Interrupted` after
    writing a checkpoint when told to stop.
    """
    place = _Place(folder)
    place.checkpoints.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    encoding = Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder)
    store = token_store(prompts, encoding, config.prompt, Path(config.cache))
    data = PromptDataModule(store, config, checkpoint.start_token)
    prepared = time.perf_counter() - started
    model = _trainable(checkpoint.model, config)
    module = InstructionModule(_inner(model), config.trainer, data.steps)
    finished = resume.read(place.trained)
    if finished is not None:
        module.configure_optimizers()
        module.weights.load(finished["masters"])  # type: ignore[union-attr]
        cost = Cost(**finished["cost"])
    else:
        cost = replace(_train(module, data, config, place, loggers), prepare_seconds=prepared)
    _finish(checkpoint, model, module)
    return cost


def _trainable(model: Any, config: Config) -> Any:
    """Return the model as it is trained: dropout off, adapters added, checkpointing on where asked for.

    Dropout is off: its draws would depend on how a step is divided among micro-batches and devices.
    """
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
        if isinstance(getattr(part, "dropout", None), float):
            part.dropout = 0.0
    model.config.use_cache = False
    model = adapt(model, config.method, config.seed) if config.method.name == "lora" else model
    if config.trainer.activation_checkpointing:
        _inner(model).gradient_checkpointing_enable({"use_reentrant": False})
    return model.train()


def _inner(model: Any) -> Any:
    """Return the transformers model itself, from under peft's wrapping."""
    return model.get_base_model() if "get_base_model" in dir(model) else model


def _train(
    module: InstructionModule,
    data: PromptDataModule,
    config: Config,
    place: _Place,
    loggers: Sequence[Logger],
) -> Cost:
    state = resume.latest(place.checkpoints)
    if state is not None:
        data.load_state_dict(state["data"])
        log.info("going on after step %d of %d", state["step"], data.steps)
    curve = Curve(place.folder / "training.jsonl", data.first_step)
    callbacks: list[Callback] = [curve, _Keeper(state, config, place, data)]
    if config.trainer.progress:
        callbacks.append(Bar(data.steps, data.first_step, curve))
    started = time.perf_counter()
    with _quiet(), packed_attention_of(module.model):
        trainer = _trainer(config, data.steps - data.first_step, callbacks, loggers)
        if data.first_step < data.steps:
            trainer.fit(module, datamodule=data)
    before = Cost(**state["cost"]) if state else Cost()
    cost = _cost(curve, before, time.perf_counter() - started, module.done)
    if trainer.is_global_zero and module.weights is not None:
        masters = [master.detach() for master in module.weights.masters]
        resume.write(place.trained, {"masters": masters, "cost": _plain(cost)})
    return cost


def _trainer(config: Config, steps: int, callbacks: list[Callback], loggers: Sequence[Logger]) -> Trainer:
    settings = config.trainer
    on_cpu = settings.accelerator == "cpu" or not torch.cuda.is_available()
    return Trainer(
        accelerator="cpu" if on_cpu else settings.accelerator,
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        strategy=settings.strategy,
        max_steps=max(steps, 1),
        callbacks=callbacks,
        logger=list(loggers) or False,
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        # On GPUs some kernels have no deterministic form: those warn.
        deterministic=True if on_cpu else "warn",
        use_distributed_sampler=False,
    )


class _Keeper(Callback):
    """Restores the fit's state, writes checkpoints between steps, and stops when told to."""

    def __init__(
        self, state: dict[str, Any] | None, config: Config, place: _Place, data: PromptDataModule
    ) -> None:
        self.state, self.config, self.place, self.data = state, config, place, data
        self.stop = resume.StopRequest()
        self.listening = contextlib.ExitStack()
        self.before = Cost(**state["cost"]) if state else Cost()
        self.started = 0.0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Go on from the state, and listen for signals (after Lightning has set its own handlers)."""
        assert isinstance(module, InstructionModule)
        self.started = time.perf_counter()
        self.listening.enter_context(self.stop.listening())
        if self.state is not None:
            module.restore(self.state)
            self.state = None  # its memory is the masters' now

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Write a checkpoint when one is due; when told to stop, write it and stop."""
        assert isinstance(module, InstructionModule)
        told = self._told(trainer)
        due = module.done % self.config.trainer.checkpoint_every_steps == 0
        if (due or told) and module.done < module.steps:
            self._save(trainer, module)
        if told:
            raise Interrupted(f"told to stop ({told}) after step {module.done} of {module.steps}")

    def _told(self, trainer: Trainer) -> str | None:
        """Whether any process was told to stop: all must stop after the same step."""
        if trainer.world_size == 1:
            return self.stop.reason
        flag = torch.tensor(int(self.stop.reason is not None), device=trainer.strategy.root_device)
        torch.distributed.all_reduce(flag)
        return (self.stop.reason or "another process") if int(flag) else None

    def _save(self, trainer: Trainer, module: InstructionModule) -> None:
        if not trainer.is_global_zero:
            return
        curve = next(callback for callback in trainer.callbacks if isinstance(callback, Curve))  # type: ignore[attr-defined]
        spent = _cost(curve, self.before, time.perf_counter() - self.started, module.done)
        data = {**self.data.state_dict(), "step": module.done}
        resume.save(self.place.checkpoints, {**module.state(), "data": data, "cost": _plain(spent)})

    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Give the signals back."""
        self.listening.close()


def _cost(curve: Curve, before: Cost, seconds: float, steps: int) -> Cost:
    return Cost(
        train_seconds=before.train_seconds + seconds,
        train_steps=steps,
        train_examples=before.train_examples + curve.examples,
        train_tokens=before.train_tokens + curve.tokens,
    )


def _plain(cost: Cost) -> dict[str, Any]:
    return {
        "train_seconds": cost.train_seconds,
        "train_steps": cost.train_steps,
        "train_examples": cost.train_examples,
        "train_tokens": cost.train_tokens,
    }


def _finish(checkpoint: Checkpoint, model: Any, module: InstructionModule) -> None:
    """Leave the trained weights in `checkpoint.model`, as a plain model ready to answer."""
    if module.weights is not None:
        module.weights.publish()
        module.weights.release()
    inner = merged(model) if model is not checkpoint.model else model
    inner.config.use_cache = True
    inner.eval()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning from telling what is meant to be so here."""
    names = ("pytorch_lightning.utilities.rank_zero", "pytorch_lightning.accelerators.cuda")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning.*")
        warnings.filterwarnings("ignore", module="lightning_fabric.*")
        warnings.filterwarnings("ignore", message=".*torch.utils._pytree.*")
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
