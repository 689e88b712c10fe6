"""What training knows of the inside of Lightning is so; a failure names what moved."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from lightning_fabric.utilities import registry
from pytorch_lightning import Callback, Trainer

from instruct_ablate.model.training.lightning_internals import find_callbacks_once


class Installed(Callback):
    pass


def trainer() -> Trainer:
    return Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)


def test_installed_callbacks_are_looked_for_once_and_each_trainer_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def finding(group: str) -> list[SimpleNamespace]:
        looked.append(group)
        brought = [Installed()] if group == "pytorch_lightning.callbacks_factory" else []
        return [SimpleNamespace(name="brought", load=lambda: lambda: [Installed() for _ in brought])]

    looked: list[str] = []
    monkeypatch.setattr(registry, "entry_points", finding)
    monkeypatch.setattr(sys, "path", [*sys.path])
    mine = []
    for _ in range(2):
        find_callbacks_once()
        mine += [one for one in trainer().callbacks if isinstance(one, Installed)]  # type: ignore[attr-defined]
    assert len(looked) == len(set(looked)), "Lightning asks for entry points elsewhere"
    assert looked, "Lightning looks for installed callbacks elsewhere"
    assert len(mine) == 2
    assert mine[0] is not mine[1]
    sys.path.append("elsewhere")
    trainer()
    assert len(looked) == 2 * len(set(looked))
