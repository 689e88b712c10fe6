"""The plugin `fused`: its settings reach what runs the cells."""

from __future__ import annotations

from typing import Any

import pytest
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from instruct_ablate.configuration.folders import config_directory
from instruct_ablate.errors import UserError
from instruct_ablate.grid.launch import fused

CONFIG = config_directory() / "hydra" / "launcher" / "fused.yaml"


def test_settings_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(fused, "run_fused", lambda *given: ran.append(given))
    launcher = instantiate(OmegaConf.merge(OmegaConf.load(CONFIG), {"cells": 3}))
    launcher.run(["a", "b"])
    assert ran == [(launcher, ["a", "b"], 3, None)]
    assert instantiate(OmegaConf.load(CONFIG)).cells == 8
    assert not launcher.can_detach


@pytest.mark.parametrize(("name", "value"), [("cells", 1), ("cells", 65), ("tokens", 0)])
def test_what_cannot_be_is_refused(name: str, value: object) -> None:
    with pytest.raises(InstantiationException) as told:
        instantiate(OmegaConf.merge(OmegaConf.load(CONFIG), {name: value}))
    assert isinstance(told.value.__cause__, UserError)
    assert f"hydra.launcher.{name}={value}" in str(told.value.__cause__)
