"""Trainer settings checked before anything starts: names, numbers, and strategies that cannot work here.

Imports nothing heavy: a finished study is skipped without torch.
"""

from __future__ import annotations

from instruct_ablate.errors import UserError, unknown
from instruct_ablate.processes import process_count
from instruct_ablate.schema import Config, MethodConfig, TrainerConfig

METHODS = ("full", "lora")
OPTIMIZERS = ("adamw", "adafactor")
SCHEDULES = ("constant", "linear")

STRATEGIES = ("auto", "ddp", "fsdp")


def check_trainer(config: Config) -> None:
    """Refuse what training would only find out later."""
    check_method(config.method)
    check_optimisation(config.trainer)
    settings = config.trainer
    if settings.strategy not in STRATEGIES:
        raise unknown("trainer.strategy", settings.strategy, STRATEGIES)
    if settings.devices < 1 or settings.num_nodes < 1:
        raise UserError("trainer.devices and trainer.num_nodes must be at least 1.")
    if settings.checkpoint_every_steps < 1:
        raise UserError("trainer.checkpoint_every_steps must be at least 1.")
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


def check_method(config: MethodConfig) -> None:
    """Refuse a method that is not there, or sizes it cannot have."""
    if config.name not in METHODS:
        raise unknown("method.name", config.name, METHODS)
    if config.rank < 1 or config.alpha < 1 or not 0 <= config.dropout < 1:
        raise UserError(
            f"method: rank={config.rank} and alpha={config.alpha} must be at least 1, "
            f"dropout={config.dropout} in [0, 1)."
        )


def check_optimisation(config: TrainerConfig) -> None:
    """Refuse settings of `trainer` that no optimiser can follow."""
    if config.optimizer not in OPTIMIZERS:
        raise unknown("trainer.optimizer", config.optimizer, OPTIMIZERS)
    if config.schedule not in SCHEDULES:
        raise unknown("trainer.schedule", config.schedule, SCHEDULES)
    if config.learning_rate <= 0:
        raise UserError(f"trainer.learning_rate={config.learning_rate} must be above 0.")
    if config.warmup_steps < 0 or config.weight_decay < 0:
        raise UserError("trainer.warmup_steps and trainer.weight_decay must not be negative.")
    if config.gradient_clip is not None and config.gradient_clip <= 0:
        raise UserError(f"trainer.gradient_clip={config.gradient_clip} must be above 0, or null for none.")
