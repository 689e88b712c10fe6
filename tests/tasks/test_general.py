"""What `evaluation.general` may name, and what of it counts in an identity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.run.evaluation import file_name
from instruct_ablate.cell.state.canonical import as_general, effective
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record.record import GENERAL_FILE
from instruct_ablate.errors import UserError
from instruct_ablate.grid.checking.preflight import faults
from instruct_ablate.grid.planning.estimate import Estimator
from instruct_ablate.schema import (
    BudgetConfig,
    EvaluationConfig,
    InstructionConfig,
    ModelConfig,
    PromptConfig,
    TasksConfig,
)
from instruct_ablate.tasks.general import check_general, read_general
from tests.standins import make_config

EVERYDAY = {"reader": "everyday"}


def asking(general: dict[str, Any] | None = None, **changes: Any) -> EvaluationConfig:
    return EvaluationConfig(general=EVERYDAY if general is None else general, **changes)


def test_it_counts_and_its_absence_does_not(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    bare, held = identify(config), identify(replace(config, evaluation=asking()))
    assert not {"general", "evaluation.general"} & bare.counted.keys()
    assert bare.hash != held.hash
    assert held.setting.get("evaluation.general") == "everyday"
    fewer = identify(replace(config, evaluation=asking({**EVERYDAY, "test_tasks": 2})))
    assert fewer.hash not in (bare.hash, held.hash)
    assert fewer.setting != held.setting
    named = identify(replace(config, evaluation=asking({**EVERYDAY, "name": "ours"})))
    assert (named.hash, named.setting.get("evaluation.general")) == (held.hash, "ours")


def test_the_untuned_model_has_it_and_a_baseline_has_not(tmp_path: Path) -> None:
    untuned = make_config(tmp_path, data_budget=BudgetConfig(0))
    assert identify(untuned).hash != identify(replace(untuned, evaluation=asking())).hash
    guess = replace(untuned, model=ModelConfig("uniform_guess", source="baseline"))
    assert identify(guess).hash == identify(replace(guess, evaluation=asking())).hash
    assert as_general(effective(replace(guess, evaluation=asking()))) is None


def test_it_is_held_alike_whatever_the_variant_the_seed_and_the_training(tmp_path: Path) -> None:
    one = make_config(tmp_path, evaluation=asking(decoding="constrained", stop="line"), seed=3)
    one = replace(one, instruction=InstructionConfig("simplified", "empty"))
    prompt = PromptConfig("plain+alpaca", training_template="drawn")
    trained = as_general(effective(replace(one, prompt=prompt)))
    untuned = as_general(effective(replace(one, prompt=prompt, data_budget=BudgetConfig(0), seed=1)))
    assert trained is not None
    assert untuned is not None
    for part in ("tasks", "instruction", "prompt", "seed", "evaluation"):
        assert getattr(trained, part) == getattr(untuned, part), part
    assert (trained.prompt.template, trained.evaluation.decoding) == ("plain", "rank")
    assert (trained.instruction.definition, trained.instruction.num_positive) == ("original", 0)


def test_no_test_has_its_file() -> None:
    for label in ("general ability", "general-ability", "general_ability", "general"):
        same = file_name(label) == GENERAL_FILE
        assert same == (label in ("general ability", "general-ability"))  # no variant is called either


@pytest.mark.parametrize(
    ("general", "said"),
    [
        ({"root": "x"}, "give a reader"),
        ({"reader": "everydy"}, "evaluation.general.reader.*everyday"),
        ({"reader": "everyday", "test_task": 3}, "key of evaluation.general.*test_tasks"),
        ({"reader": "everyday", "validation": 2}, "evaluation.general.validation is of training"),
        ({"reader": "everyday", "columns": {"input": "x"}}, "evaluation.general.columns is set"),
        ({"reader": "everyday", "test_tasks": "many"}, "evaluation.general: .*many"),
        ({"reader": "everyday", "test_tasks": 0}, "evaluation.general.test_tasks=0"),
    ],
)
def test_what_is_no_collection_is_refused(general: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_general(general)


def test_tasks_without_choices_are_refused_before_the_start(tmp_path: Path) -> None:
    general = {"reader": "starter", "test_instances": 2}
    with pytest.raises(UserError, match="test tasks lack choices to rank, first starter"):
        read_general(general, tmp_path)
    (fault,) = faults([make_config(tmp_path, evaluation=asking(general))])
    assert "evaluation.general" in fault
    assert faults([make_config(tmp_path, evaluation=asking())]) == []


def test_a_plan_counts_its_questions(tmp_path: Path) -> None:
    config = make_config(tmp_path, tasks=TasksConfig("starter", test_tasks=2, test_instances=3))
    bare, held = (
        Estimator({}).estimate(replace(config, evaluation=one)).test_instances
        for one in (asking({}), asking())
    )
    assert held - bare == 80
