"""Trainer settings checked before anything starts: names, numbers, and strategies that cannot work here."""

from __future__ import annotations

import os

from instruct_ablate.errors import UserError, unknown
from instruct_ablate.model.adapter import check_method
from instruct_ablate.model.optimizer import check_optimisation
from instruct_ablate.schema import Config

STRATEGIES = ("auto", "ddp", "fsdp")
# What the launchers that start every process themselves leave in the environment.
RANKS = (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS"))


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
    if settings.devices * settings.num_nodes > 1 and not ranks_are_started():
        raise UserError(
            f"trainer.devices={settings.devices}: Lightning would start this script again for every further device, "
            "and inside a sweep those copies would run the whole sweep into one folder. Start the processes "
            "yourself: `torchrun --nproc-per-node=N train.py ...`, or hydra/launcher=submitit_slurm with "
            "tasks_per_node=N."
        )


def ranks_are_started() -> bool:
    """Whether a launcher has started this process as one of several."""
    return any(all(name in os.environ for name in names) for names in RANKS)
