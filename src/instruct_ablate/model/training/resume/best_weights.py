"""The best weights of a fit by its scores on held-out tasks: which point they are of, where they lie, when to stop.

A file is written wherever a point is better than all before it. Earlier ones stay as long as a checkpoint that a fit
may go on from is older than the next one: so whatever a kill leaves, going on ends with the same choice and bits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from instruct_ablate.disk.fence import inside_fence
from instruct_ablate.errors import UserError
from instruct_ablate.model.training.resume import training_state
from instruct_ablate.rounding import first_best

_FILE = re.compile(r"best-(\d+)\.ckpt")


@dataclass
class Choice:
    """The scores of a fit's points so far, and which is the best: of equal ones the earlier."""

    higher_is_better: bool = True
    patience: int | None = (
        None  # points without a better one after which a fit ends; None: it goes on to its last step
    )
    scores: list[tuple[int, float]] = field(default_factory=list)

    def add(self, step: int, score: float) -> bool:
        """Note a point's score; return whether it is the best so far."""
        self.scores.append((step, score))
        return self.best == step

    @property
    def best(self) -> int:
        """The step of the best point."""
        sign = 1 if self.higher_is_better else -1
        # Means of several tasks that have one total differ in the last bit: no later point is better by that.
        return self.scores[first_best([sign * score for _, score in self.scores])][0]

    @property
    def stops(self) -> bool:
        """Whether the last points brought nothing better, and no more are waited for."""
        if self.patience is None or not self.scores:
            return False
        return sum(step > self.best for step, _ in self.scores) >= self.patience

    def restore(self, scores: list[list[float]]) -> None:
        """Go on from the scores that a checkpoint holds."""
        self.scores = [(int(step), float(score)) for step, score in scores]

    def state(self) -> list[list[float]]:
        """Return what a checkpoint holds of it."""
        return [list(one) for one in self.scores]


class BestWeights:
    """The files of the best weights beside a fit's checkpoints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, step: int, masters: list[Tensor]) -> None:
        """Write the weights after a step, and drop those that no checkpoint could come back to."""
        training_state.write(self._path(step), {"masters": masters})
        states = training_state.steps(self.folder)
        oldest = int(states[0].stem.removeprefix("step-")) if states else 0
        passed = [one for one in self._steps() if one <= oldest]
        # The last of these is the best that the oldest checkpoint knows of: going on from there may end with it.
        self._drop(passed[:-1])

    def forget_after(self, step: int) -> None:
        """Drop what was written after the step that a fit goes on from; it will be written again. 0: all."""
        self._drop([one for one in self._steps() if one > step or step == 0])

    def load(self, step: int) -> list[Tensor]:
        """Read the weights after a step."""
        state: dict[str, Any] | None = training_state.read(self._path(step))
        if state is None:
            raise UserError(
                f"the best weights, {self._path(step)}, are lost or damaged: remove {self.folder} and run the same "
                "command again; the cell is trained from its beginning."
            )
        masters: list[Tensor] = state["masters"]
        return masters

    def drop(self) -> None:
        """Remove all: the trained weights are written."""
        self._drop(self._steps())

    def _path(self, step: int) -> Path:
        return self.folder / f"best-{step:08d}.ckpt"

    def _steps(self) -> list[int]:
        found = (_FILE.fullmatch(path.name) for path in self.folder.glob("best-*.ckpt"))
        return sorted(int(one[1]) for one in found if one)

    def _drop(self, steps: list[int]) -> None:
        with inside_fence(self.folder):
            for step in steps:
                self._path(step).unlink(missing_ok=True)
