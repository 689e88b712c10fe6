from __future__ import annotations

import random
from pathlib import Path

import pytest

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.grid.order import ordered
from instruct_ablate.grid.planned_cell import Cell
from instruct_ablate.schema import BudgetConfig, Config, InstructionConfig, ModelConfig, TasksConfig
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


def names_in_order(monkeypatch: pytest.MonkeyPatch, *configs: Config) -> list[str]:
    """Names of the cells in the order they are run in, without their hashes; they come in the other order."""
    replace_inputs(monkeypatch)
    cells = [Cell((), config, identify(config)) for config in reversed(configs)]
    return [cell.identity.name.rpartition("-")[0] for cell in ordered(cells)]


def test_kinds_of_cells_come_before_tasks_models_and_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = (ModelConfig(name, source="random") for name in ("tiny_llama", "tiny_t5"))
    assert names_in_order(
        monkeypatch,
        make_config(tmp_path, model=ModelConfig("uniform_guess", source="baseline")),
        make_config(tmp_path, model=a, data_budget=BudgetConfig(0)),
        make_config(tmp_path, model=b, data_budget=BudgetConfig(0)),
        make_config(tmp_path, model=a, seed=1),
        make_config(tmp_path, model=b, seed=0),
    ) == [
        "uniform_guess",
        "tiny_llama-untuned",
        "tiny_t5-untuned",
        "tiny_llama-original-8-s1",
        "tiny_t5-original-8-s0",
    ]


def test_tasks_come_before_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = (TasksConfig("starter", name=name) for name in ("a", "b"))
    one, other = (ModelConfig(name, source="random") for name in ("tiny_llama", "tiny_t5"))
    replace_inputs(monkeypatch)
    configs = [make_config(tmp_path, tasks=tasks, model=model) for tasks in (b, a) for model in (other, one)]
    settings = [cell.identity.setting for cell in ordered([Cell((), one, identify(one)) for one in configs])]
    assert [(setting.get("tasks"), setting.model) for setting in settings] == [
        ("a", "tiny_llama"), ("a", "tiny_t5"), ("b", "tiny_llama"), ("b", "tiny_t5"),
    ]  # fmt: skip


def test_the_reference_then_variants_by_name_and_budgets_by_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def config(variant: str, budget: int) -> Config:
        return make_config(
            tmp_path,
            reference="simplified",
            instruction=InstructionConfig(variant),
            data_budget=BudgetConfig(budget),
        )

    configs = [config(name, budget) for name in ("simplified", "empty", "original") for budget in (2, 10)]
    assert names_in_order(monkeypatch, *configs) == [
        "tiny_llama-simplified-2-s0",
        "tiny_llama-simplified-10-s0",
        "tiny_llama-no_definition-2-s0",
        "tiny_llama-no_definition-10-s0",
        "tiny_llama-original-2-s0",
        "tiny_llama-original-10-s0",
    ]
