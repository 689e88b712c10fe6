"""Cells that take turns over one copy of the weights train as each does over its own, whatever keeps steps apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from instruct_ablate.model.loading.last_loaded import SHELF
from instruct_ablate.schema import MethodConfig
from tests.model.fits import NAMES, changed, load
from tests.model.training.test_joined import Bits, cells, train


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("method", "data"),
    [({"dora": True}, {}), ({"dropout": 0.1}, {"packing": False}), ({}, {"num_workers": 1})],
    ids=["dora", "dropout, padded", "loader processes"],
)
def test_what_keeps_steps_apart_does_not_keep_cells_from_taking_turns(
    name: str, method: dict[str, Any], data: dict[str, Any], tmp_path: Path
) -> None:
    configs = [
        replace(changed(one, data=data), method=MethodConfig("lora", rank=4, **method))
        for one in cells(tmp_path / "cache", name, max_steps=2)[:2]
    ]
    wanted: dict[int, Bits] = {}
    given: dict[int, Bits] = {}
    for place, config in enumerate(configs):
        torch.manual_seed(place)  # as a run does: LoRA's own dropout draws from the process's generator
        train(config, place, tmp_path / "alone", wanted)
    loaded = load(configs[0]).model.state_dict()
    with SHELF.lending():
        for place, config in enumerate(configs):
            torch.manual_seed(place)
            train(config, place, tmp_path / "in turn", given)
        left = load(configs[0]).model.state_dict()
    for place, weights in wanted.items():
        assert not all(torch.equal(loaded[one], weight) for one, weight in weights.items() if one in loaded)
        assert all(torch.equal(given[place][one], weight) for one, weight in weights.items())
    assert all(torch.equal(left[one], weight) for one, weight in loaded.items())
