from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.grid import preflight
from instruct_ablate.grid.preflight import faults
from instruct_ablate.schema import (
    BudgetConfig,
    EvaluationConfig,
    InstructionConfig,
    ModelConfig,
    PromptConfig,
    TrainerConfig,
)
from instruct_ablate.tasks.task import Example, TaskCollection
from tests.conftest import make_task
from tests.standins import make_config

ONE = Example("A lovely evening.", "positive")
POOR = make_task(
    "task2_poor",
    negative_examples=(),
    positive_examples=(ONE, ONE),
    label_space=None,
    instances=make_task().instances[:1],
)


@pytest.fixture(autouse=True)
def _tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    collection = TaskCollection("mine", (make_task(),), (make_task(), POOR), "hash")
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: collection)


def test_a_sound_grid_has_no_faults(tmp_path: Path) -> None:
    assert faults([make_config(tmp_path), make_config(tmp_path, seed=1)]) == []


def test_all_faults_of_all_cells_are_told_at_once_and_each_once(tmp_path: Path) -> None:
    lost = ModelConfig("mine", path="./no/such/folder")
    configs = [
        make_config(tmp_path, instruction=InstructionConfig(examples="delusive")),
        make_config(tmp_path, model=lost),
        make_config(tmp_path, model=lost, seed=3),
        make_config(tmp_path, data_budget=BudgetConfig(-1)),
        make_config(tmp_path, trainer=TrainerConfig(optimizer="adamm")),
    ]
    found = faults(configs)
    assert len(found) == 4
    for part in ("task2_poor", "no/such/folder", "instances_per_task=-1", "adamw"):
        assert sum(part in fault for fault in found) == 1, found


def test_a_baseline_needs_no_model_and_no_processes(tmp_path: Path) -> None:
    guess = ModelConfig("uniform_guess", source="baseline")
    assert faults([make_config(tmp_path, model=guess, trainer=TrainerConfig(devices=2))]) == []


def test_metrics_that_read_the_model_are_refused_where_the_engine_gives_answers_alone(tmp_path: Path) -> None:
    asked = EvaluationConfig(metrics=["reference_log_likelihood"], engine="vllm")
    (fault,) = [
        one
        for one in faults([make_config(tmp_path, evaluation=asked)])
        if one.startswith("evaluation.metrics")
    ]
    assert "evaluation.engine=vllm does not give. Use evaluation.engine=native." in fault
    assert "\n" not in fault
    guess = ModelConfig("uniform_guess", source="baseline")
    told = faults([make_config(tmp_path, model=guess, evaluation=asked)])
    assert not any("reads the model" in one for one in told)


def test_several_faults_of_one_check_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def many() -> None:
        raise UserErrors(["one", "two"])

    def single() -> None:
        raise UserError("three")

    monkeypatch.setattr(preflight, "_checks", lambda config, ranks: [(many, ()), (single, ())])
    assert faults([make_config(tmp_path)]) == ["one", "two", "three"]


@pytest.mark.parametrize("decoding", ["greedy", "constrained", "rank"])
def test_labels_longer_than_any_answer_are_refused_for_every_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoding: str
) -> None:
    sound = TaskCollection("mine", (make_task(),), (make_task(),), "hash")
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: sound)

    def of(limit: int) -> list[str]:
        prompt, evaluation = (
            PromptConfig("tk_instruct", max_target_length=limit),
            EvaluationConfig(decoding=decoding),
        )
        cell = make_config(tmp_path, prompt=prompt, evaluation=evaluation, cache=str(tmp_path / "cache"))
        return faults([cell])

    assert of(64) == []
    (found,) = of(2)
    assert "labels, such as 'positive', are longer than prompt.max_target_length=2 tokens" in found
