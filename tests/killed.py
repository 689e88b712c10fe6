"""Kills without a second process: a function dies before or after its work, and nothing catches it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from instruct_ablate.model.training.resume import training_state
from instruct_ablate.model.training.resume.best_weights import BestWeights


class Killed(BaseException):
    """What was not on disk is lost."""


Moment = Callable[[pytest.MonkeyPatch], None]


def dying(owner: Any, name: str, when: Callable[..., bool], after: bool = False) -> Moment:
    """Have the first call of a function for which `when` holds die, before or after its work."""

    def arrange(patch: pytest.MonkeyPatch) -> None:
        original, struck = getattr(owner, name), []

        def dies(*given: Any, **named: Any) -> Any:
            strikes = not struck and when(*given)
            struck.extend([True] if strikes else [])
            if strikes and not after:
                raise Killed
            result = original(*given, **named)
            if strikes:
                raise Killed
            return result

        patch.setattr(owner, name, dies)

    return arrange


def writing(name: str, after: bool = False) -> Moment:
    """Die before or after a file of weights is written."""
    return dying(training_state, "write", lambda path, state: path.name == name, after)


def best_of(best: int, early: int) -> dict[str, Moment]:
    """Moments of a fit whose best step is `best`, and that ends before its last one after `early`; in their order."""
    return {
        "before the best weights are written": writing(f"best-{best:08d}.ckpt"),
        "after the best weights are written": writing(f"best-{best:08d}.ckpt", after=True),
        "before the checkpoint of the best step": writing(f"step-{best:08d}.ckpt"),
        "after the checkpoint of the best step": writing(f"step-{best:08d}.ckpt", after=True),
        **(
            {"before the checkpoint before the end": writing(f"step-{early - 1:08d}.ckpt")}
            if early > best + 1
            else {}
        ),
        "when training has ended early": dying(BestWeights, "load", lambda best, step: True),
        "before the trained weights are written": writing(training_state.TRAINED),
        "after the trained weights are written": writing(training_state.TRAINED, after=True),
        "before the best weights are dropped": dying(BestWeights, "drop", lambda best: True),
    }
