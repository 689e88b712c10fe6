"""Where a cell's model trains and is tested: on a GPU that is there and not left aside, else on the processor."""

from __future__ import annotations

import torch

from instruct_ablate.errors import UserError
from instruct_ablate.schema import TrainerConfig

GPU = ("gpu", "cuda")  # what `trainer.accelerator` calls a GPU that has to be there


def is_on_gpu(trainer: TrainerConfig) -> bool:
    """Whether a cell with these settings runs on a GPU on this machine.

    `UserError` where one is asked for and none is there: on the processor it would take many times as long, and its
    record would be of another machine than the one that was asked for.
    """
    there = torch.cuda.is_available()
    if trainer.accelerator in GPU and not there:
        raise UserError(
            f"trainer.accelerator={trainer.accelerator}: torch finds no GPU on this machine. Give "
            "trainer.accelerator=auto (a GPU where there is one) or cpu, or run it where one is."
        )
    return trainer.accelerator != "cpu" and there
