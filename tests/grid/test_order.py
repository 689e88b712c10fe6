from __future__ import annotations

import random
from pathlib import Path

import pytest

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.grid.order import ordered
from instruct_ablate.grid.planned_cell import Cell
from instruct_ablate.schema import BudgetConfig, InstructionConfig, ModelConfig
from tests.standins import make_config, replace_inputs


def test_baselines_untuned_and_reference_come_first_and_seeds_breadth_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_inputs(monkeypatch)
    configs = [
        make_config(tmp_path, seed=seed, instruction=InstructionConfig(name))
        for seed in (0, 1)
        for name in ("simplified", "original")
    ]
    configs.append(make_config(tmp_path, data_budget=BudgetConfig(0)))
    configs.append(make_config(tmp_path, model=ModelConfig("majority", source="baseline")))
    cells = [Cell((), config, identify(config)) for config in configs]
    random.Random(0).shuffle(cells)
    assert [cell.identity.name.rpartition("-")[0] for cell in ordered(cells)] == [
        "majority",
        "tiny_llama-untuned",
        "tiny_llama-original-8-s0",
        "tiny_llama-simplified-8-s0",
        "tiny_llama-original-8-s1",
        "tiny_llama-simplified-8-s1",
    ]
