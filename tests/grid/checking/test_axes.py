from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.grid.checking.axes import (
    check_numbers,
    check_templates,
    needless_seeds,
)
from instruct_ablate.grid.checking.preflight import faults, planned_faults
from instruct_ablate.schema import (
    BudgetConfig,
    EvaluationConfig,
    InstructionConfig,
    ModelConfig,
    PromptConfig,
)
from instruct_ablate.tasks.task import Task, TaskCollection
from tests.conftest import make_task
from tests.standins import make_config

FULL, BARE = make_task("full"), make_task("bare", positive_examples=(), negative_examples=())


@pytest.fixture(autouse=True)
def _tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training tasks with examples, test tasks without."""
    collection = TaskCollection("mine", (FULL,), (BARE,), "hash")
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: collection)


def collection_of(monkeypatch: pytest.MonkeyPatch, *tasks: Task, test: Task = FULL) -> None:
    read = TaskCollection("mine", tasks, (test,), "hash")
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: read)


def test_templates_of_tasks_that_bring_their_own_prompts_make_no_axis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = TaskCollection("p3", (make_task("a", prompted=True),), (make_task("b", prompted=True),), "hash")
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: own)
    cells = [
        make_config(tmp_path, prompt=PromptConfig(template), seed=seed)
        for template in ("plain", "tk_instruct")
        for seed in (0, 1)
    ]
    (fault,) = check_templates(cells)
    assert fault.startswith("prompt.template=plain,tk_instruct: ")
    assert fault in faults(cells)
    assert fault in planned_faults(cells)[0]
    assert check_templates(cells[:2]) == []  # one template
    assert check_templates([cells[0], replace(cells[3])]) == []  # no two cells that differ in it alone


@pytest.mark.parametrize(
    "changed",
    [
        {"evaluation": EvaluationConfig(decoding="channel")},
        {"evaluation": EvaluationConfig(general={"reader": "everyday"})},
        {"model": ModelConfig("majority", source="baseline")},
    ],
)
def test_templates_that_are_shown_in_another_way_are_an_axis(
    changed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = TaskCollection("p3", (make_task("a", prompted=True),), (make_task("b", prompted=True),), "hash")
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: own)
    prompts = (PromptConfig("plain"), PromptConfig("tk_instruct"))
    assert check_templates([make_config(tmp_path, prompt=one, **changed) for one in prompts]) == []
    ends = [replace(one, end_of_turn=True) for one in prompts]
    assert check_templates([make_config(tmp_path, prompt=one) for one in ends]) == []


def test_templates_of_a_mixture_are_an_axis_where_a_task_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The untuned model beside such cells is no reason to refuse them."""
    mixed = TaskCollection("mixture", (FULL,), (make_task("b", prompted=True),), "hash")
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: mixed)
    prompts = (PromptConfig("plain"), PromptConfig("tk_instruct"))
    trained = [make_config(tmp_path, prompt=one) for one in prompts]
    assert check_templates([*trained, *(replace(one, data_budget=BudgetConfig(0)) for one in trained)]) == []


def test_numbers_of_examples_that_no_task_has_make_no_axis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = TaskCollection("mine", (FULL,), (FULL,), "hash")
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: two)
    cells = [
        make_config(tmp_path, instruction=InstructionConfig(num_positive=number), seed=seed)
        for number in (6, 1, 2)
        for seed in (0, 1)
    ]
    (fault,) = check_numbers(cells)
    assert fault.startswith("instruction.num_positive=2,6: ")
    assert fault in faults(cells)
    assert fault in planned_faults(cells)[0]
    assert check_numbers(cells[2:]) == []  # 1 and 2
    none = [replace(one, instruction=replace(one.instruction, examples="empty")) for one in cells]
    assert check_numbers(none) == []  # the same cell, under one name
    assert check_numbers([replace(one, data_budget=BudgetConfig(0)) for one in cells]) == []


@pytest.mark.parametrize(
    ("key", "values", "same"),
    [("num_negative", (3, 1, 2), "2,3"), ("explanations", (True, False), "False,True")],
)
def test_negative_examples_and_explanations_that_change_no_prompt_make_no_axis(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    key: str,
    values: tuple[int, ...],
    same: str,
) -> None:
    silent = replace(
        FULL, positive_examples=tuple(replace(one, explanation="") for one in FULL.positive_examples)
    )
    collection_of(monkeypatch, silent, test=silent)
    cells = [
        make_config(tmp_path, instruction=replace(InstructionConfig(), **{key: value}), seed=seed)
        for value in values
        for seed in (0, 1)
    ]
    (fault,) = check_numbers(cells)
    assert fault.startswith(f"instruction.{key}={same}: the tasks of starter have no ")
    assert fault in faults(cells)
    assert fault in planned_faults(cells)[0]
    collection_of(monkeypatch, FULL, test=FULL)
    assert len(check_numbers(cells)) == (key == "num_negative")
    if key == "num_negative":
        assert check_numbers([cell for cell in cells if cell.instruction.num_negative < 3]) == []
        return
    # Its wrong examples have no explanations, as the tasks' own do: an ablation, of which there are two cells.
    caplog.clear()
    delusive = [replace(one, instruction=replace(one.instruction, examples="delusive")) for one in cells]
    assert check_numbers(delusive) == []
    assert caplog.messages == [
        "instruction.explanations=False,True: instruction=delusive shows the same prompts under both, so that their "
        "cells are one finding, not two"
    ]


def test_numbers_of_examples_are_an_axis_where_training_or_tests_have_them(tmp_path: Path) -> None:
    """Training tasks have two here, test tasks none."""
    cells = [
        make_config(tmp_path, instruction=InstructionConfig(num_positive=number)) for number in (1, 2, 3)
    ]
    (fault,) = check_numbers(cells)
    assert fault.startswith("instruction.num_positive=2,3: ")


def test_copies_of_examples_that_no_seed_draws_are_told_once(tmp_path: Path) -> None:
    """Before: a cell ran for each seed, and nothing said that all would answer alike."""

    def cells(tested: EvaluationConfig, name: str = "copy_demonstration") -> list[Any]:
        model = ModelConfig(name, source="baseline")
        return [make_config(tmp_path, model=model, seed=seed, evaluation=tested) for seed in (0, 1, 2)]

    fixed, drawn = EvaluationConfig(instructions=["original"]), EvaluationConfig(instructions=["ood_inputs"])
    (told,) = needless_seeds([*cells(fixed), *cells(fixed)])
    assert told.startswith("model=copy_demonstration seed=0,1,2: no seed changes the examples that it copies")
    assert "one seed would do" in told
    assert needless_seeds(cells(drawn)) == [], "examples are drawn"
    assert needless_seeds(cells(fixed, "label_prior")) == [], "answers are drawn"
    assert needless_seeds(cells(fixed, "majority")) == [], "one cell for all seeds"
    assert needless_seeds(cells(fixed)[:1]) == []
