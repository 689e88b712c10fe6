"""What the keys of `trainer` and `method` may be, and strategies that cannot work here: all before anything starts.

Imports nothing heavy: a finished study is skipped without torch.
"""

from __future__ import annotations

import logging

from instruct_ablate.configuration.learning_rate import LORA
from instruct_ablate.configuration.top_layers import ALL, layers_limit
from instruct_ablate.data.settings import check_batches, check_data, unshared
from instruct_ablate.disk.score_curve import asks_for_points
from instruct_ablate.errors import UserError
from instruct_ablate.limits import MANY, any_value, check_limits, number, one_of, text, texts, whole
from instruct_ablate.model.loading.precision import NAMES
from instruct_ablate.process.processes import process_count
from instruct_ablate.schema import Config, DataConfig, EvaluationConfig, MethodConfig, TrainerConfig

log = logging.getLogger(__name__)

METHODS = ("full", "lora")
TARGETS = ("all_linear", "attention")
OPTIMIZERS = ("adamw", "adafactor")
SCHEDULES = ("constant", "linear")
ACCELERATORS = ("auto", "cpu", "gpu", "cuda")
STRATEGIES = ("auto", "ddp", "fsdp")
METHOD = {
    "name": one_of(METHODS),
    "rank": whole(1, 2**16),
    "alpha": whole(1, 2**20),
    "dropout": number(0, 1, below=True),
    "target_modules": texts(200),
    "target": one_of(TARGETS),
    "layers": layers_limit(),
    "rslora": any_value(),
    "dora": any_value(),
    "learning_rate_factor": number(0, 10_000, above=True),
}
LOSSES = ("per_token", "per_example")
OPTIMISATION = {
    "optimizer": one_of(OPTIMIZERS),
    "schedule": one_of(SCHEDULES),
    "learning_rate": number(0, 100, above=True),
    "warmup_steps": whole(0),
    "weight_decay": number(0, 100),
    "loss": one_of(LOSSES),
    "dropout": number(0, 1, below=True),
    "prompt_loss_weight": number(0, 1),
    "select": text(200),
    "patience": whole(1).or_null("for none"),
    "gradient_clip": number(0, MANY, above=True).or_null("for none"),
}
MACHINE = {
    "precision": one_of(NAMES),
    "accelerator": one_of(ACCELERATORS),
    "strategy": one_of(STRATEGIES),
    "devices": whole(1, 2**16),
    "num_nodes": whole(1, 2**16),
    "activation_checkpointing": any_value(),
    "compile": any_value(),
    "checkpoint_every_steps": whole(1),
    "frozen_cache_gb": number(0, 1_000_000, hint=" (0: nothing is kept)"),
    "keep_below": layers_limit(),
    "threads": whole(1, 1024).or_null("for as many as there are cores"),
    "progress": any_value(),
}


def check_trainer(config: Config) -> None:
    """Refuse what training would only find out later."""
    check_method(config.method)
    check_dora(config.method, config.trainer)
    check_data(config.data)
    check_batches(config.trainer)
    check_optimisation(config.trainer)
    check_machine(config.trainer)
    check_processes(config.trainer)
    check_dropout(config.trainer, config.data)
    check_points(config.evaluation, config.trainer)


def check_dropout(trainer: TrainerConfig, data: DataConfig) -> None:
    """Refuse dropout where its masks could not follow examples and places."""
    against = {
        f"data.grouping={data.grouping}": data.grouping != "none",
        "data.packing=false": not data.packing,
        "trainer.compile=true": trainer.compile,
    }
    if trainer.dropout and (names := [name for name, there in against.items() if there]):
        raise UserError(
            f"trainer.dropout={trainer.dropout} draws by example and place in packed sequences, which "
            f"{' and '.join(names)} does not have: choose one of the two."
        )


def check_prompt_weight(trainer: TrainerConfig, encoder_decoder: bool) -> None:
    """Refuse a loss on prompt tokens where an encoder reads them and nothing predicts them."""
    if trainer.prompt_loss_weight and encoder_decoder:
        raise UserError(
            f"trainer.prompt_loss_weight={trainer.prompt_loss_weight}: an encoder-decoder reads its prompt in the "
            "encoder, which predicts no token of it. Leave it at 0, or take a decoder-only model."
        )


def check_shared(config: DataConfig, encoder_decoder: bool) -> None:
    """Refuse to share prefixes where an encoder reads them; of tasks drawn together, say where they share nothing.

    Those steps are others than without, so that cells of either kind of model may be asked for with them.
    """
    why = unshared(config.packing, encoder_decoder)
    if config.grouping == "prefix" and encoder_decoder:
        raise UserError(
            f"data.grouping=prefix: {why}. Leave it at none, which has the same steps, or take a decoder-only model."
        )
    if config.grouping == "task" and why:
        log.warning(
            "data.grouping=task: %s. Its steps draw the instances of a task together all the same, and are no faster "
            "than those of data.grouping=none",
            why,
        )


def check_method(config: MethodConfig) -> None:
    """Refuse a method that is not there, sizes it cannot have, and layers named twice."""
    check_limits("method", config, METHOD)
    if config.target_modules and config.target != TARGETS[0]:
        raise UserError(
            f"method.target={config.target} and method.target_modules={list(config.target_modules)} both name the "
            "layers to adapt: leave out one of the two."
        )
    if config.name != LORA and config.layers != ALL:
        raise UserError(
            f"method.layers={config.layers} chooses the layers that adapters stand in, and method={config.name} trains "
            f"every weight: take method=lora, or method.layers={ALL}."
        )


def check_dora(method: MethodConfig, trainer: TrainerConfig) -> None:
    """Refuse DoRA where no process has a whole weight to measure."""
    if method.name == LORA and method.dora and trainer.strategy == "fsdp":
        raise UserError(
            "method.dora=true measures whole weights in every step, and trainer.strategy=fsdp divides them among "
            "processes: use trainer.strategy=ddp, or method.dora=false."
        )


def check_optimisation(config: TrainerConfig) -> None:
    """Refuse settings of `trainer` that no optimiser can follow."""
    check_limits("trainer", config, OPTIMISATION)


def check_machine(config: TrainerConfig) -> None:
    """Refuse settings of `trainer` that no machine can follow."""
    check_limits("trainer", config, MACHINE)


def check_points(evaluation: EvaluationConfig, trainer: TrainerConfig) -> None:
    """Refuse scores while training where no process has the whole model to test."""
    if not asks_for_points(evaluation):
        return
    key = next(name for name in ("at", "every_steps", "every_epochs") if vars(evaluation)[name])
    if trainer.strategy == "fsdp":
        raise UserError(
            f"evaluation.{key}: with trainer.strategy=fsdp no process has the whole model, so it cannot be tested "
            f"while it trains. Use trainer.strategy=ddp, or leave out evaluation.{key}."
        )
    if evaluation.engine == "vllm":
        raise UserError(
            f"evaluation.{key}: evaluation.engine=vllm takes a model that has been trained. "
            f"Use evaluation.engine=native, or leave out evaluation.{key}."
        )


def check_processes(settings: TrainerConfig) -> None:
    """Refuse several devices without as many processes."""
    wanted, started = settings.devices * settings.num_nodes, process_count()
    if wanted > 1 and started < 2:
        raise UserError(
            f"trainer.devices={settings.devices}: Lightning would start this script again for every further device, "
            "and inside a sweep those copies would run the whole sweep into one folder. Start the processes "
            "yourself: `torchrun --nproc-per-node=N train.py ...`, or hydra/launcher=submitit_slurm with "
            "tasks_per_node=N."
        )
    if started > 1 and started != wanted:
        raise UserError(
            f"{started} processes were started, but trainer.devices={settings.devices} times "
            f"trainer.num_nodes={settings.num_nodes} is {wanted}. Make them agree."
        )
