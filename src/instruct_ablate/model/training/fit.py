"""The fit: prompts and a checkpoint to trained weights, resumable at every step, through Lightning's trainer."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import Logger
from torch import Tensor

from instruct_ablate.configuration.learning_rate import effective_rate
from instruct_ablate.cost import Cost
from instruct_ablate.data.datamodule import PromptDataModule
from instruct_ablate.data.device import is_on_gpu
from instruct_ablate.data.draws import draws, varies
from instruct_ablate.data.examples import Examples
from instruct_ablate.data.micro_batch import EffectiveBatch
from instruct_ablate.data.store import TokenStore, token_store
from instruct_ablate.disk import learning_curve
from instruct_ablate.disk.score_curve import FILE as SCORES
from instruct_ablate.disk.score_curve import keep_points
from instruct_ablate.instruction.context import hashed
from instruct_ablate.model.adapters import merged
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.model.loading.tokenizer import encoding_of
from instruct_ablate.model.modes import Shared
from instruct_ablate.model.training.joined import joining, prepare
from instruct_ablate.model.training.kept_fit import kept_states
from instruct_ablate.model.training.layers.dropout import Dropout
from instruct_ablate.model.training.lightning_internals import find_callbacks_once
from instruct_ablate.model.training.loss import packed_attention_of
from instruct_ablate.model.training.module import InstructionModule
from instruct_ablate.model.training.progress import Bar, Curve
from instruct_ablate.model.training.resume import training_state
from instruct_ablate.model.training.resume.best_weights import BestWeights
from instruct_ablate.model.training.resume.points import Plan, Points
from instruct_ablate.model.training.resume.saver import Meter, Saver
from instruct_ablate.model.training.settings import check_prompt_weight, check_shared, check_trainer
from instruct_ablate.model.training.strategies import build_strategy, master_copy
from instruct_ablate.model.training.trainable import make_trainable, set_weights
from instruct_ablate.process.turns import clock
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config

__all__ = ["check_trainer", "fit"]
log = logging.getLogger(__name__)


def fit(
    checkpoint: Checkpoint,
    examples: Sequence[Prompt] | Examples,
    config: Config,
    folder: Path,
    loggers: Sequence[Logger] = (),
    points: Plan | None = None,
) -> tuple[Cost, tuple[str, ...]]:
    """Train `checkpoint.model` in place on examples; return what it cost, and notes of what was met.

    Goes on from `folder`/checkpoints where an earlier fit of the same cell was stopped; raises `Interrupted` after
    writing a checkpoint when told to stop.
    """
    # Before adapters are added: cells side by side share the model as it was loaded.
    prepare(checkpoint.model, config)
    model = make_trainable(checkpoint.model, config)
    # There once the fit was whole: a cell that was killed in its tests trains no more.
    finished = training_state.read(folder / "checkpoints" / training_state.TRAINED)
    if finished is None:
        started = time.perf_counter()
        data = _data(checkpoint, examples, config)
        prepared = time.perf_counter() - started
        weights, cost, notes = _train(model, data, config, folder, loggers, points)
        cost = replace(cost, prepare_seconds=prepared)
        del data  # it knows the trainer, and so all that training took
    else:
        weights, cost = finished["masters"], Cost(**finished["cost"])
        notes = list(finished.get("notes", ()))
        if points is not None and points.choice is not None:
            points.choice.restore(finished["validation"])
            BestWeights(folder / "checkpoints").drop()  # where a kill came before it
    set_weights(model, weights)
    del weights
    _release_memory()
    inner = merged(model) if model is not checkpoint.model else model.requires_grad_(True)
    inner.config.use_cache = True
    inner.eval()
    return cost, tuple(notes)


def _data(checkpoint: Checkpoint, examples: Sequence[Prompt] | Examples, config: Config) -> PromptDataModule:
    """Tokenise the prompts, or map their tokens where that was done before."""
    check_prompt_weight(config.trainer, checkpoint.encoder_decoder)
    check_shared(config.data, checkpoint.encoder_decoder)
    if isinstance(examples, Examples):
        return PromptDataModule(examples.open(), config, checkpoint.start_token)
    encoding = encoding_of(checkpoint, config.prompt)

    def store(given: Sequence[Prompt]) -> TokenStore:
        return token_store(given, encoding, config.prompt, Path(config.cache))

    made = draws(examples, config.data, config.seed, store) if varies(config.data) else store(examples)
    return PromptDataModule(made, config, checkpoint.start_token)


def _release_memory() -> None:
    """Give masters, optimiser states and activations back to the system: evaluation needs the room."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # glibc keeps freed memory unless asked
        ctypes.CDLL(None).malloc_trim(0)


def _train(
    model: Any,
    data: PromptDataModule,
    config: Config,
    folder: Path,
    loggers: Sequence[Logger],
    points: Plan | None,
) -> tuple[list[Tensor], Cost, list[str]]:
    """Train and return the trained weights in fp32, with what they cost and what was met."""
    notes = data.notes
    checkpoints, settings = folder / "checkpoints", config.trainer
    state = _beginning(checkpoints, data)
    # Read before the fp32 copy: FSDP computes in the precision that the model was loaded in.
    products = next(model.parameters()).dtype
    subject: Any = master_copy(model) if settings.strategy == "fsdp" else model
    dropout = Dropout(settings.dropout, config.seed) if settings.dropout else None
    optimisation = replace(settings, learning_rate=effective_rate(settings.learning_rate, config.method))
    module = InstructionModule(subject, optimisation, data.steps, config.data.packing, products, dropout)
    curve = Curve(folder / learning_curve.FILE, data.first_step, settings.compile, config.data.packing)
    meter = Meter(curve, Cost(**state["cost"]) if state else Cost(), clock())
    saver = Saver(checkpoints, settings.checkpoint_every_steps, state, data, meter)
    callbacks: list[Callback] = [curve, saver]
    if settings.progress:
        callbacks.append(Bar(data.steps, data.first_step, curve))
    keep_points(folder / SCORES, data.first_step)
    best, choice = BestWeights(checkpoints), points.choice if points is not None else None
    best.forget_after(data.first_step)
    if choice is not None:
        choice.restore(state["validation"] if state else [])
    with (
        quiet_lightning(),
        packed_attention_of(subject, config.data.packing, settings.compile, dropout) as attention,
    ):
        if points is not None:
            meter.points = Points(points, subject, attention, data.first_step, best)
            callbacks.insert(1, meter.points)  # before the saver
        if config.method.name == "lora" and config.method.dropout:
            callbacks.append(AdaptersMasks(config.seed))
        trainer = _trainer(config, data.steps - data.first_step, callbacks, loggers)
        # Under the trainer's settings of determinism, as in its steps.
        with kept_states(subject, data, config, notes) as module.losses.kept, joining(model, module):
            trainer.fit(module, datamodule=data)
        module.losses.kept = None
    assert module.weights is not None
    weights, cost = module.weights.state(), meter.cost(module.done)
    module.weights.release()
    if trainer.is_global_zero:
        chosen = {} if choice is None else {"validation": choice.state()}
        weights = weights if choice is None else best.load(choice.best)
        _write_trained(checkpoints, {"masters": weights, "cost": asdict(cost), **chosen}, notes)
        best.drop()
    return weights, cost, notes


class AdaptersMasks(Callback):
    """Lets the masks of `method.dropout` follow from seed, process and step: PyTorch draws them, wherever adapters are.

    Its generators begin anywhere in each process, and a GPU's go on from cell to cell. They are set in each step, not
    once: a checkpoint holds those of the first process alone, and of the devices that it saw.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: EffectiveBatch, index: int
    ) -> None:
        """Set the generators of all devices for the step that begins."""
        assert isinstance(module, InstructionModule)
        torch.manual_seed(hashed(self.seed, "method.dropout", trainer.global_rank, module.done))


def _write_trained(checkpoints: Path, made: dict[str, Any], notes: list[str]) -> None:
    """Write what a whole fit made, from which a run that is killed after it goes on."""
    training_state.write(checkpoints / training_state.TRAINED, made | ({"notes": notes} if notes else {}))


def _beginning(checkpoints: Path, data: PromptDataModule) -> Any:
    """Return the state that a fit goes on from, with `data` put where it stood; None where it begins."""
    checkpoints.mkdir(parents=True, exist_ok=True)
    state = training_state.latest(checkpoints)
    if state is not None:
        data.load_state_dict(state["data"])
        log.info("going on after step %d of %d", state["step"], data.steps)
    return state


def _trainer(config: Config, steps: int, callbacks: list[Callback], loggers: Sequence[Logger]) -> Trainer:
    settings = config.trainer
    on_cpu = not is_on_gpu(settings)
    # Determinism would also have every new tensor filled with NaN, against reading what was never written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    find_callbacks_once()
    return Trainer(
        accelerator="cpu" if on_cpu else settings.accelerator,
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        strategy=build_strategy(settings),
        # What is left alone: the trainer of a fit that goes on is new, and counts from 0.
        max_steps=steps,
        callbacks=callbacks,
        logger=list(loggers) or False,
        log_every_n_steps=1,
        # States are the saver's: they lie between steps, and training goes on from them to the same bits.
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        # On GPUs some kernels have no deterministic form: those warn.
        deterministic=True if on_cpu else "warn",
        # The data module deals each step out among processes itself.
        use_distributed_sampler=False,
    )


@contextlib.contextmanager
def _quiet_lightning() -> Iterator[None]:
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


# Cells side by side end in any order: the last one to leave puts all back.
quiet_lightning = Shared(_quiet_lightning)
