from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.grid.checking.effects import (
    check_drawn,
    check_effects,
    twins,
)
from instruct_ablate.grid.checking.preflight import faults
from instruct_ablate.schema import (
    BudgetConfig,
    Config,
    DataConfig,
    EvaluationConfig,
    InstructionConfig,
    ModelConfig,
    PromptConfig,
)
from instruct_ablate.tasks.task import Task, TaskCollection
from tests.conftest import make_task
from tests.standins import make_config

DELUSIVE = InstructionConfig(examples="delusive")
FULL, BARE = make_task("full"), make_task("bare", positive_examples=(), negative_examples=())


@pytest.fixture(autouse=True)
def _tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training tasks with examples, test tasks without."""
    collection = TaskCollection("mine", (FULL,), (BARE,), "hash")
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: collection)


def test_each_side_is_looked_at_by_itself(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    assert check_effects(config, DELUSIVE, (InstructionConfig(),)) == []
    (fault,) = check_effects(config, DELUSIVE, (InstructionConfig(), DELUSIVE))
    assert "instruction=delusive: no prompt of the 1 test task (bare)" in fault
    assert check_effects(config, None, (DELUSIVE,)) == [fault]


@pytest.mark.parametrize(
    ("key", "value", "example"),
    [("explanations", True, {"explanation": "Because."}), ("num_negative", 1, {})],
)
def test_what_no_prompt_has_a_place_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: object, example: dict[str, str]
) -> None:
    one = replace(FULL.positive_examples[0], **example)
    wrong = () if key == "explanations" else (one,)
    poor = replace(
        FULL,
        negative_examples=(),
        positive_examples=tuple(replace(example, explanation="") for example in FULL.positive_examples),
    )
    rich = replace(poor, positive_examples=(one, *poor.positive_examples[1:]), negative_examples=wrong)
    asked = replace(InstructionConfig(), **{key: value})
    config = make_config(tmp_path)
    collection_of(monkeypatch, poor, test=poor)
    (fault,) = check_effects(config, asked, (asked,))
    assert fault.startswith(f"instruction.{key}={value} shows no ")
    assert "the examples of tasks=starter have none" in fault
    assert check_effects(config, None, (asked,)) == []  # the untuned model beside others
    assert check_effects(config, replace(asked, num_positive=0, num_negative=0), ()) == []
    collection_of(monkeypatch, rich, test=poor)
    assert check_effects(config, asked, (asked,)) == []
    # A variant that has none of its own is an ablation of those that have.
    assert not [one for one in check_effects(config, replace(asked, examples="delusive"), ()) if key in one]
    minimal = replace(config, prompt=PromptConfig("minimal"))
    assert len(check_effects(minimal, asked, (asked,))) == (key == "explanations")


def test_the_reference_is_the_one_that_is_asked_for(tmp_path: Path) -> None:
    config = replace(make_config(tmp_path), reference="delusive")
    assert check_effects(config, DELUSIVE, (DELUSIVE,)) == []
    (fault,) = check_effects(config, InstructionConfig(), (InstructionConfig(),))
    assert "instruction=original: no prompt of the 1 test task" in fault


def test_the_check_is_part_of_the_preflight_and_told_once(tmp_path: Path) -> None:
    same = EvaluationConfig(["same"])
    configs = [
        make_config(tmp_path, instruction=DELUSIVE, evaluation=same, seed=0, data_budget=BudgetConfig(n))
        for n in (8, 9)
    ]
    found = [fault for fault in faults(configs) if "no prompt" in fault]
    assert len(found) == 1


def test_what_is_set_to_do_nothing_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert check_effects(make_config(tmp_path), InstructionConfig("deleted", rate=0), ()) == []
    assert "instruction=deleted(0): rate=0" in caplog.text


@pytest.mark.parametrize(("name", "count"), [("copy_demonstration", 1), ("majority", 0)])
def test_of_baselines_only_those_that_read_the_instruction_count(
    tmp_path: Path, name: str, count: int
) -> None:
    config: Config = make_config(tmp_path, model=ModelConfig(name, source="baseline"))
    assert len(check_effects(config, None, (DELUSIVE,))) == count


def test_variants_with_the_same_prompts_are_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without labels a simplified definition is an empty one; with labels it is not."""
    free = (make_task("free", label_space=None),)
    monkeypatch.setattr(
        "instruct_ablate.tasks.collection.read_tasks",
        lambda config, cache: TaskCollection("mine", free, free if config.root is None else (FULL,), "hash"),
    )
    definitions, same = ("simplified", "empty", "original"), EvaluationConfig(["same"])
    cells = [
        make_config(tmp_path, instruction=InstructionConfig(one), evaluation=same, seed=seed)
        for one in definitions
        for seed in (0, 1)
    ]
    (line,) = twins(cells)
    assert "instruction=simplified and instruction=no_definition" in line
    assert "one finding" in line
    elsewhere = [replace(cell, tasks=replace(cell.tasks, root="labelled")) for cell in cells]
    assert twins(elsewhere) == []  # the same in training, not in testing
    tested = make_config(tmp_path, evaluation=EvaluationConfig(["simplified", "no_definition", "original"]))
    (line,) = twins([tested, replace(tested, seed=3)])
    assert "simplified and no_definition show the same prompts" in line


def test_what_equals_the_reference_is_refused_not_noted(tmp_path: Path) -> None:
    """A data set without examples: `delusive` and `no_examples` alter nothing, and are faults of their own."""
    cells = [
        make_config(tmp_path, instruction=one, evaluation=EvaluationConfig(["same"]))
        for one in (DELUSIVE, InstructionConfig(examples="empty"))
    ]
    found = [fault for fault in faults(cells) if "no prompt" in fault]
    assert [fault.split(":")[0] for fault in found] == ["instruction=delusive", "instruction=no_examples"]


def collection_of(monkeypatch: pytest.MonkeyPatch, *tasks: Task, test: Task = FULL) -> None:
    read = TaskCollection("mine", tasks, (test,), "hash")
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: read)


def test_a_choice_among_encodings_that_are_all_the_same_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(tmp_path, data=DataConfig(encodings="tk_instruct"), data_budget=BudgetConfig(2))
    collection_of(monkeypatch, make_task(prompted=True))
    assert any("data.encodings=tk_instruct" in fault and "own prompts" in fault for fault in faults([config]))
    nothing = replace(BARE, definition="")
    collection_of(monkeypatch, nothing)
    with pytest.raises(UserError, match="all 5 encodings are the same"):
        check_drawn(config)
    collection_of(monkeypatch, nothing, FULL)
    with caplog.at_level(logging.WARNING):
        check_drawn(config)
    assert "2 training tasks" in caplog.text
    assert not any("own prompts" in fault for fault in faults([replace(config, data_budget=BudgetConfig(0))]))


def test_two_variants_or_one_cell_with_two_tests_are_enough_to_be_twins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = make_task("free", label_space=None)
    read = TaskCollection("mine", (free,), (free,), "hash")
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: read)
    same = EvaluationConfig(["same"])
    pair = [
        make_config(tmp_path, instruction=InstructionConfig(one), evaluation=same)
        for one in ("simplified", "empty")
    ]
    assert len(twins(pair)) == 1
    assert twins(pair[:1]) == []
    assert twins([replace(cell, data_budget=BudgetConfig(0)) for cell in pair]) == []
    assert twins([replace(cell, model=ModelConfig("majority", source="baseline")) for cell in pair]) == []
    alone = make_config(tmp_path, evaluation=EvaluationConfig(["simplified", "no_definition"]))
    (line,) = twins([alone])
    assert line.startswith("evaluation.instructions: simplified and no_definition")


def test_what_alters_no_training_task_is_refused_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = TaskCollection("mine", (BARE,), (FULL,), "hash")
    monkeypatch.setattr("instruct_ablate.tasks.collection.read_tasks", lambda config, cache: read)
    (fault,) = check_effects(make_config(tmp_path), DELUSIVE, (DELUSIVE,))
    assert "instruction=delusive: no prompt of the 1 training task (bare)" in fault


def test_fewer_encodings_than_there_are_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(tmp_path, data=DataConfig(encodings="tk_instruct"), data_budget=BudgetConfig(2))
    collection_of(monkeypatch, FULL, replace(BARE, definition=""), make_task("own", prompted=True))
    with caplog.at_level(logging.WARNING):
        check_drawn(config)
    assert "for 1 of 3 training tasks some of the 5 encodings are the same" in caplog.text
    check_drawn(replace(config, data=DataConfig()))
