from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from instruct_ablate.cell.run.job import Job
from instruct_ablate.cell.run.training import train
from instruct_ablate.cell.state.heartbeat import Heartbeat, this_process
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cost import Cost
from instruct_ablate.disk.score_curve import FILE, Point, add_points
from instruct_ablate.errors import UserError
from instruct_ablate.instruction.shortage import told_shortages
from instruct_ablate.schema import BudgetConfig, DataConfig, InstructionConfig, MethodConfig
from instruct_ablate.tasks.task import TaskCollection
from tests.conftest import make_task
from tests.standins import make_config, replace_inputs

COLLECTION = TaskCollection("mine", (make_task("a"), make_task("b")), (make_task("c"),), "hash")


class Tokenizer:
    def __call__(self, text: Any, **_: Any) -> dict[str, list[str]]:
        return {"input_ids": text.split()}

    def decode(self, ids: list[str], **_: Any) -> str:
        return " ".join(ids)


NOTED = ("training: a note of the fit",)
AS_TRAINED = "instruct_ablate.model.training.packable.as_trained"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    replace_inputs(monkeypatch)
    calls: list[Any] = []

    def fitted(
        checkpoint: Any, prompts: Any, config: Any, folder: Path, *_: Any
    ) -> tuple[Cost, tuple[str, ...]]:
        calls.append(prompts)
        return Cost(train_steps=3, prepare_seconds=1.0), NOTED

    monkeypatch.setattr("instruct_ablate.model.training.fit.fit", fitted)
    monkeypatch.setattr(AS_TRAINED, lambda config, model: (config, ()))
    return calls


def run(tmp_path: Path, budget: BudgetConfig, collection: TaskCollection = COLLECTION, **changes: Any) -> Any:
    config = make_config(tmp_path, data_budget=budget, **changes)
    job = Job(config, identify(config), tmp_path, Heartbeat(tmp_path, this_process()))
    return train(
        job, collection, SimpleNamespace(tokenizer=Tokenizer(), model="a model", encoder_decoder=False)
    )  # type: ignore[arg-type]


def test_the_budgets_sample_is_trained_on(tmp_path: Path, seen: list[Any]) -> None:
    trained = run(tmp_path, BudgetConfig(2))
    cost = trained.cost
    assert trained.notes[-1:] == NOTED
    assert cost.train_steps == 3
    assert cost.prepare_seconds > 1.0
    assert len(seen[0]) == 4
    assert {prompt.task for prompt in seen[0]} == {"a", "b"}


def test_scores_on_the_way_by_several_rules_are_noted(tmp_path: Path, seen: list[Any]) -> None:
    point = Point(1, 4, "original", 5, "abcd", 0.1, (("rougeL", 1.0),))
    add_points(tmp_path / FILE, [point, replace(point, step=2, scored=(("scoring rules", "version 3"),))])
    *_, fit, points = run(tmp_path, BudgetConfig(2)).notes
    assert (fit,) == NOTED
    assert points.startswith("training: scores on the way were not all made alike: not noted and ")


def test_repeated_examples_are_all_trained_on(tmp_path: Path, seen: list[Any]) -> None:
    run(tmp_path, BudgetConfig(4, repeat=2))
    assert len(seen[0]) == 8
    assert len({(prompt.task, prompt.instance_id) for prompt in seen[0]}) == 4


def test_those_who_watch_see_how_many_steps_it_will_take(
    tmp_path: Path, seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(Heartbeat, "progress", lambda self, *given: told.append(given))
    run(tmp_path, BudgetConfig(2))
    ((phase, done, steps),) = told
    assert (phase, done) == ("train", 0)
    assert steps == 1, "four instances are one batch"


def test_more_than_there_is_is_used_as_it_is_and_said(tmp_path: Path, seen: list[Any]) -> None:
    notes = run(tmp_path, BudgetConfig(50)).notes
    assert len(seen[0]) == 12
    assert notes


def test_fewer_examples_than_are_to_be_shown_are_noted_but_not_of_several_encodings(
    tmp_path: Path, seen: list[Any]
) -> None:
    three = InstructionConfig(num_positive=3)
    notes = run(tmp_path, BudgetConfig(2), instruction=three).notes
    (line,) = told_shortages(notes)
    assert line.startswith(
        "instruction.num_positive=3: 2 of 2 training tasks have fewer positive examples: a (2 of 3)"
    )
    assert f"training: {line}" in notes
    several = run(tmp_path, BudgetConfig(2), instruction=three, data=DataConfig(encodings="tk_instruct"))
    assert [*told_shortages(several.notes)] == []


def test_how_a_model_is_trained_is_followed_and_said(
    tmp_path: Path, seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def padded(config: Any, model: Any) -> Any:
        asked.append(model)
        return config, ("padded",)

    monkeypatch.setattr(AS_TRAINED, padded)
    assert run(tmp_path, BudgetConfig(2)).notes[-2:] == ("padded", *NOTED)
    assert asked == ["a model"]


def test_a_rate_that_is_not_the_configured_one_is_noted(tmp_path: Path, seen: list[Any]) -> None:
    lora = MethodConfig("lora", learning_rate_factor=10.0)
    assert run(tmp_path, BudgetConfig(2), method=lora).notes == (
        "training: learning rate 0.002 (0.0002 x 10)",
        *NOTED,
    )
    assert run(tmp_path, BudgetConfig(2)).notes == NOTED


def test_nothing_to_train_on_is_told(tmp_path: Path, seen: list[Any]) -> None:
    empty = TaskCollection("mine", (), (make_task("c"),), "hash")
    with pytest.raises(UserError):
        run(tmp_path, BudgetConfig(2), empty)
    assert not seen
