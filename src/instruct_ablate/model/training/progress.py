"""What a fit tells while it runs: a progress bar, and the learning curve on disk."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from instruct_ablate.data.micro_batch import EffectiveBatch
from instruct_ablate.disk.learning_curve import LOGGED, append_row, keep_rows
from instruct_ablate.model.training.module import InstructionModule
from instruct_ablate.process.progress_lines import ProgressLines
from instruct_ablate.process.turns import clock
from instruct_ablate.terminal import make_console

log = logging.getLogger(__name__)


class Curve(Callback):
    """Writes `training.jsonl`, one row a step, and keeps the tokens, padding and seconds of the fit."""

    def __init__(self, path: Path, first_step: int, compiling: bool = False, packing: bool = True) -> None:
        self.path = path
        self.packing = packing  # without it sequences are padded, and what for is counted
        self.compiling = compiling  # the first step will be slow: say how slow
        self.tokens = self.examples = self.padding = 0
        self.seconds = self.speed = 0.0
        self._started = clock()
        # Steps behind the checkpoint that a fit goes on from are taken again, and their rows written again.
        keep_rows(path, first_step)

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: EffectiveBatch, index: int
    ) -> None:
        """Start the step's clock."""
        self._started = clock()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: EffectiveBatch, index: int
    ) -> None:
        """Write the step's row."""
        assert isinstance(module, InstructionModule)
        seconds = clock() - self._started
        self.tokens += batch.tokens
        self.examples += batch.examples
        self.padding += 0 if self.packing else _padding(batch)
        self.seconds += seconds
        self.speed = batch.tokens / max(seconds, 1e-9)
        module.log(f"{LOGGED}tokens_per_second", self.speed, on_step=True, batch_size=batch.examples)
        if self.compiling:
            log.info("first step, with compiling: %.1f s", seconds)
            self.compiling = False
        if trainer.is_global_zero:
            self._write(module, seconds)

    def _write(self, module: InstructionModule, seconds: float) -> None:
        row = {
            "step": module.done,
            "loss": module.loss,
            "learning_rate": module.rate,
            "tokens_per_second": round(self.speed, 1),
            "seconds": round(seconds, 4),
        }
        append_row(self.path, row)


def _padding(batch: EffectiveBatch) -> int:
    """Return the padded places of a whole step: of several processes as many for each example as this one has."""
    own = sum(len(part.examples) for part in batch.micro_batches)
    padded = sum(part.padding for part in batch.micro_batches)
    return round(padded * batch.examples / own) if own else 0


class Bar(Callback):
    """A rich progress bar: step, loss, tokens per second, time left; a line a minute where no terminal is."""

    def __init__(self, steps: int, first_step: int, curve: Curve) -> None:
        self.curve, self.steps = curve, steps
        console = make_console(stderr=True)
        self.progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self.lines = ProgressLines(silent=console.is_terminal)
        self.task = self.progress.add_task("training", total=steps, completed=first_step, status="")

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Show the bar."""
        if trainer.is_global_zero:
            self.progress.start()
            self.lines.tell("train", int(self.progress.tasks[0].completed), self.steps)

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: EffectiveBatch, index: int
    ) -> None:
        """Advance the bar."""
        assert isinstance(module, InstructionModule)
        status = f"loss {module.loss:.3f}  {self.curve.speed:,.0f} tokens/s"
        self.progress.update(self.task, completed=module.done, status=status)
        if trainer.is_global_zero:
            self.lines.tell("train", module.done, self.steps, *status.split("  "))

    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Take the bar away."""
        self.progress.stop()
