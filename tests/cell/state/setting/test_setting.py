"""Settings: all that an identity counts but the seed, in readable names; of cells of every kind, old and new."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.state import identity as module
from instruct_ablate.cell.state.identity import Data, identify
from instruct_ablate.cell.state.record.old_record import old_setting
from instruct_ablate.cell.state.setting.setting import (
    Axes,
    Names,
    Setting,
    _revisions,
    completed,
    make_setting,
    setting_of_axes,
    write,
)
from instruct_ablate.schema import (
    BudgetConfig,
    DataConfig,
    EvaluationConfig,
    InstructionConfig,
    MethodConfig,
    ModelConfig,
    PromptConfig,
    TasksConfig,
    TrainerConfig,
)
from tests.left_out import left_out
from tests.standins import make_config, replace_inputs

OUT = Path("out")
AXES = Axes("starter", "simplified", 2, 8, None, "tiny_llama", "full", "tk_instruct", "greedy", 3)


@pytest.fixture(autouse=True)
def _inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)


def setting(**changes: Any) -> Setting:
    return identify(make_config(OUT, **changes)).setting


CHANGES: list[dict[str, Any]] = [
    {"trainer": TrainerConfig(learning_rate=1e-2)},
    {"trainer": TrainerConfig(epochs=2)},
    {"trainer": TrainerConfig(batch_size=3)},
    {"trainer": TrainerConfig(optimizer="adafactor")},
    {"trainer": TrainerConfig(precision="fp32")},
    {"method": MethodConfig("lora", rank=2)},
    {"method": MethodConfig("lora", rank=4)},
    {"prompt": PromptConfig("tk_instruct", max_source_length=99)},
    {"instruction": InstructionConfig(num_positive=0)},
    {"instruction": InstructionConfig(num_negative=1)},
    {"instruction": InstructionConfig(explanations=True)},
    {"instruction": InstructionConfig("deleted", rate=0.2)},
    {"instruction": InstructionConfig("deleted", rate=0.2000001)},  # the label is the same
    {"data": DataConfig(grouping="task")},
    {"data": DataConfig(grouping="prefix")},
    {"tasks": TasksConfig("starter", include=["a*"])},
    {"tasks": TasksConfig("starter", test_instances=5)},
    {"tasks": TasksConfig("starter", name="mine")},
    {"evaluation": EvaluationConfig(decoding="rank")},
    {"evaluation": EvaluationConfig(["same", "delusive"])},
    {"data_budget": BudgetConfig(8, tasks=3)},
    {"data_budget": BudgetConfig(0)},
]


def test_whatever_counts_makes_another_setting() -> None:
    assert len({setting(), *(setting(**changes) for changes in CHANGES)}) == len(CHANGES) + 1


def test_the_seed_does_not() -> None:
    one, other = identify(make_config(OUT, seed=1)), identify(make_config(OUT, seed=2))
    assert one.setting == other.setting
    assert (one.seed, other.seed) == (1, 2)


def test_every_hashed_key_is_in_the_setting_of_a_trained_cell() -> None:
    found = identify(make_config(OUT, method=MethodConfig("lora")))
    renamed = {
        "data_budget.instances_per_task": "data_budget",
        "method.name": "method",
        "prompt.template": "prompt",
    }
    dotted = {renamed.get(key, key) for key in found.counted if "." in key}
    assert dotted - set(found.setting.keys) == {"model.tries"}  # the model's name says it


def test_contents_under_names_are_revisions(monkeypatch: pytest.MonkeyPatch) -> None:
    before = setting()
    monkeypatch.setattr(module, "_data", lambda config: Data("other data"))
    after = setting()
    assert before != after
    assert before.values == after.values
    assert (before.revision("tasks"), after.revision("tasks")) == ("data", "other data")


def test_an_untuned_model_has_nothing_of_training_and_a_baseline_nothing_of_a_model() -> None:
    untuned = setting(data_budget=BudgetConfig(0))
    assert untuned.untuned
    assert untuned.instruction == ""
    assert "trainer.precision" in untuned
    assert not {"trainer.learning_rate", "method", "instruction", "data.grouping"} & set(untuned.keys)
    baseline = setting(model=ModelConfig("majority", source="baseline"))
    assert baseline.baseline
    assert not {"prompt", "trainer.precision", "evaluation.decoding"} & set(baseline.keys)
    assert (untuned.text("method"), baseline.text("prompt")) == ("-", "-")


def test_a_checkpoint_that_others_tuned_is_the_same_setting() -> None:
    tuned = setting(data_budget=BudgetConfig(0), model=ModelConfig("tiny_llama", source="random", tuned=True))
    assert tuned == setting(data_budget=BudgetConfig(0))
    assert tuned.tuned
    name = identify(make_config(OUT, data_budget=BudgetConfig(0), model=ModelConfig("m", tuned=True))).name
    assert name.startswith("m-as_it_is-")


def test_an_old_record_has_the_setting_that_it_has_today() -> None:
    config = make_config(OUT, instruction=InstructionConfig("simplified"), seed=3)
    today = identify(config)
    counted = json.loads(today.to_json())["counted"]
    assert old_setting(dict(vars_of(AXES)), "data", counted, ["simplified"]) == today.setting


def test_of_an_old_record_alone_its_axes_are_read_and_completed_by_the_others() -> None:
    today = setting(instruction=InstructionConfig("simplified"))
    bare = setting_of_axes(AXES, "data")
    assert completed(bare, [today, setting()]) == today
    two = [today, setting(instruction=InstructionConfig("simplified"), trainer=TrainerConfig(batch_size=3))]
    assert completed(bare, two) == bare, "nobody can say which"


def vars_of(axes: Axes) -> dict[str, Any]:
    return {name: getattr(axes, name) for name in axes.__slots__}


@pytest.mark.parametrize(
    ("value", "key", "text"),
    [
        (1e-5, "", "1e-05"),
        (True, "", "true"),
        (None, "data_budget.tasks", "all"),
        (None, "data_budget.categories", "all"),
        (None, "trainer.max_steps", "none"),
        (("a", "b"), "", "a, b"),
        ((), "", "none"),
    ],
)
def test_values_are_written_so_that_none_is_taken_for_another(value: Any, key: str, text: str) -> None:
    assert write(value, key) == text


def test_another_value_leaves_contents_and_what_is_known_of_the_model() -> None:
    """Before a counterpart is looked for a value is changed: other data or weights must not come to be the same."""
    one = make_setting(
        {"data_budget": 8, "model": "tiny"}, {"tasks": "a1", "model": "b2"}, True, ("random_labels",)
    )
    other = one.changed(data_budget=0)
    assert (other.budget, other.model) == (0, "tiny")
    assert (other.revisions, other.tuned, other.drawn) == (one.revisions, True, ("random_labels",))


def test_revisions_are_of_all_that_has_a_content_or_a_version() -> None:
    counted = {"data": "d", "checkpoint": "c", "extensions": ["e", "f"], "own_code": ["o"], "templates": "t"}
    versions = {"training": 2, "prediction": 3, "code": 4}
    whole = {"tasks": "d", "model": "c", "prompt": "t", "extensions": "e+f+o"}
    assert _revisions(counted, baseline=False) == whole
    assert _revisions({**counted, **versions}, baseline=False) == {
        **whole,
        "training": "2",
        "prediction": "3",
        "code": "4",
    }
    assert "model" not in _revisions(counted, baseline=True)


def test_an_old_setting_is_completed_by_none_of_other_contents() -> None:
    old = make_setting({"data_budget": 8}, {"tasks": "a1"})
    fuller = make_setting({"data_budget": 8, "trainer.epochs": 2}, {"tasks": "a1", "model": "m"})
    foreign = make_setting({"data_budget": 8, "trainer.epochs": 3}, {"tasks": "b2", "model": "m"})
    assert completed(old, [fuller, foreign]) == fuller
    assert completed(old, [foreign]) == old


def test_tests_are_the_same_in_whatever_order_they_are_given() -> None:
    one, other = (
        setting(evaluation=EvaluationConfig(given)) for given in (["same", "delusive"], ["delusive", "same"])
    )
    assert one.tests == other.tests == tuple(sorted(one.tests))
    assert len(one.tests) == 2
    assert write(10**9, "trainer.warmup") == "1000000000", "of budgets alone it is all that there is"


def test_settings_are_values() -> None:
    one = make_setting({"b": 1, "a": ("x",)}, {})
    assert one == make_setting({"a": ("x",), "b": 1}, {})
    assert {one: 1}[one.changed(b=2).changed(b=1)] == 1
    assert one.get("c") is None
    assert "c" not in one


def test_a_neutral_key_counts_where_it_is_not_neutral(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identify(make_config(OUT)).hash
    monkeypatch.setattr(module, "TRAINING", 2)
    raised = identify(make_config(OUT))
    assert raised.hash != before
    assert raised.counted["training"] == 2
    assert raised.setting.revision("training") == "2"
    untuned = identify(replace(make_config(OUT), data_budget=BudgetConfig(0)))
    assert "training" not in untuned.counted, "what is not trained is not of a version of training"


def test_what_is_not_known_to_be_tested_otherwise_is_tested_as_trained() -> None:
    assert make_setting({"data_budget": 0}, {}).tests == ("original",)
    assert make_setting({"data_budget": 8, "instruction": "simplified"}, {}).tests == ("simplified",)
    assert make_setting({"evaluation.instructions": ()}, {}).tests == ("original",)
    tested = {"instruction": "simplified", "evaluation.instructions": ("delusive", "original")}
    assert make_setting(tested, {}).tests == ("delusive", "original")


def test_what_a_table_says_of_a_cell_is_what_it_was_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained on one wrong example and tested without any, under another name of the model; the budget is a total."""
    monkeypatch.setattr(module, "_general_hash", lambda config: "g")
    found = setting(
        instruction=InstructionConfig(num_negative=1, explanations=True),
        data_budget=BudgetConfig(8, total=16),
        model=ModelConfig("org/some-1B/", source="hub"),
        evaluation=EvaluationConfig(["empty", "original"], general={"reader": "everyday"}),
    )
    shown = {key: found.text(key) for key in (*SAID, "method.rslora", "method.rank", "instruction.rate")}
    assert shown == {**SAID, **dict.fromkeys(("method.rslora", "method.rank", "instruction.rate"), "-")}
    assert not {"method.rank", "instruction.rate"} & set(found.keys)
    adapted = setting(method=MethodConfig("lora", rank=3), instruction=InstructionConfig("deleted", rate=0.5))
    assert [adapted.text(key) for key in ("method.rslora", "method.rank", "instruction.rate")] == [
        "false",
        "3",
        "0.5",
    ]


SAID = {
    "model": "some-1B",
    "data_budget": "16 in all",
    "instruction.num_negative": "1",
    "instruction.explanations": "true",
    "evaluation.general": "everyday",
    "evaluation.instructions": "no_definition, original",
}


def test_the_order_of_a_mappings_keys_is_nothing() -> None:
    one, other = ({"output": "o", "input": "i"}, {"input": "i", "output": "o"})
    found = [setting(tasks=TasksConfig("hf_dataset", root="r", columns=given)) for given in (one, other)]
    assert found[0] == found[1]
    assert found[0].get("tasks.columns") == ("input: i", "output: o")


def test_an_import_has_the_names_that_were_given_and_nothing_of_training() -> None:
    axes = replace(AXES, method="imported", data_budget=0, model="some/model", num_positive=3)
    found = setting_of_axes(axes, "data", "shown")
    assert (found.model, found.get("tasks"), found.get("instruction.num_positive")) == (
        "some/model",
        "shown",
        3,
    )
    assert found.tests == ("simplified",)
    assert not {"instruction", "data_budget.tasks", "prompt", "evaluation.decoding"} & set(found.keys)


def test_an_old_setting_beside_itself_is_completed_by_the_fuller_one() -> None:
    bare, today = setting_of_axes(AXES, "data"), setting(instruction=InstructionConfig("simplified"))
    assert completed(bare, [bare, today]) == today


def test_what_is_left_out() -> None:
    assert left_out(Names) == {"tuned": False}


def test_a_neutral_key_has_its_value_where_the_cell_reads_it() -> None:
    whole = {"tasks.reader": "starter", "model": "tiny", "data_budget": 8, "method": "full"}
    trained, untuned = make_setting(whole, {}), make_setting({**whole, "data_budget": 0}, {})
    baseline = make_setting({**whole, "model": "majority", "data_budget": 0}, {})
    key = "trainer.dropout"
    assert [key in one for one in (trained, untuned, baseline)] == [True, False, False]
    assert (trained.get(key), trained.text(key)) == (0.0, "0.0")
    assert "evaluation.batch_tokens" in untuned
    assert "evaluation.batch_tokens" not in baseline
    assert key not in trained.keys, "what was hashed stays as it was"
    of_axes = make_setting({"model": "tiny", "data_budget": 8}, {})
    assert key not in of_axes, "of axes alone nothing more is known"
    assert trained.changed(**{key: 0.1}).get(key) == 0.1
