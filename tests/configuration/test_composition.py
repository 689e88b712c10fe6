from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from instruct_ablate.configuration.composition import (
    ELSEWHERE,
    LONGEST,
    check_key,
    explain,
    groups,
    keys,
    register,
    shortened,
    unknown_choice,
)
from instruct_ablate.configuration.folders import config_directory
from instruct_ablate.errors import UserError
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.schema import Config


def test_every_group_has_a_folder_and_every_folder_is_a_group() -> None:
    folders = {path.name for path in config_directory().iterdir() if path.is_dir()}
    assert folders - {"hydra"} == set(groups())


def test_keys_are_dotted() -> None:
    assert {"seed", "trainer.learning_rate", "tasks.columns"} <= set(keys())


def test_the_schema_is_registered_with_hydra() -> None:
    from hydra.core.config_store import ConfigStore

    register()
    assert ConfigStore.instance().load("schema.yaml").node is not None


@pytest.mark.parametrize("key", ["seed", "model", "experiment", "trainer.epochs", "tasks.columns.input"])
def test_known_keys_pass(key: str) -> None:
    check_key(key)


def test_a_key_of_a_known_group_lists_its_siblings() -> None:
    with pytest.raises(UserError, match=r"method has: name, rank, alpha"):
        check_key("method.qqqq")


def bad_merge(tree: dict[str, object]) -> OmegaConfBaseException:
    with pytest.raises(OmegaConfBaseException) as caught:
        OmegaConf.merge(OmegaConf.structured(Config), tree)
    return caught.value


def test_an_unknown_key_in_a_file_names_the_nearest() -> None:
    fault = explain(bad_merge({"trainer": {"epoch": 3}}))
    assert fault is not None
    assert "unknown key 'trainer.epoch'; did you mean 'trainer.epochs'" in str(fault)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"trainer": {"epochs": "many"}}, "trainer.epochs='many' must be a number."),
        ({"seed": 1.5}, "seed='1.5' must be a whole number."),
        ({"seed": "it's\nodd"}, """seed="it's\\nodd" must be a whole number."""),
        ({"with_untuned": "maybe"}, "with_untuned='maybe' must be true or false."),
        (
            {"evaluation": {"at": 0.5}},
            "evaluation.at must be a list: write evaluation.at=[VALUE] or evaluation.at=[VALUE,VALUE].",
        ),
        ({"trainer": {"max_steps": "x"}}, "trainer.max_steps='x' must be a whole number, or null."),
        ({"trainer": {"batch_size": None}}, "trainer.batch_size='null' must be a whole number."),
        ({"study": ["a"]}, """study="['a']" must be one text."""),
        (
            {"tasks": {"columns": 3}},
            "tasks.columns must be a mapping: write tasks.columns.NAME=VALUE or tasks.columns={NAME: VALUE}.",
        ),
    ],
)
def test_a_value_of_the_wrong_type_names_its_key(given: dict[str, Any], said: str) -> None:
    assert str(explain(bad_merge(given))) == said


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("evaluation.instructions={a: 1}", "evaluation.instructions must be a list: write "),
        ("tasks.columns=3", "tasks.columns must be a mapping: write tasks.columns.NAME=VALUE"),
        ("tasks.columns=[a]", "tasks.columns must be a mapping: write tasks.columns.NAME=VALUE"),
        ("seed={a: 1}", "must be a whole number."),
    ],
)
def test_an_override_of_another_type_names_its_key(word: str, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        compose_config([word])


def test_a_missing_choice_names_the_nearest() -> None:
    fault = explain(MissingConfigException("no", "instruction/simplifid", ["original", "simplified"]))
    assert "unknown choice for instruction: 'simplifid'; did you mean 'simplified'" in str(fault)
    assert explain(MissingConfigException("no such file", None)) is not None


@pytest.mark.parametrize("error", [ConfigCompositionException("odd"), OverrideParseException("a", "b")])
def test_hydras_other_complaints_are_one_line(error: Exception) -> None:
    fault = explain(error)
    assert fault is not None
    assert "\n" not in str(fault)


def test_other_errors_are_not_users_mistakes() -> None:
    assert explain(ValueError("a bug")) is None
    mistake = UserError("mine")
    assert explain(mistake) is mistake


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("tasks.categories=Translation", ["Translation"]),
        ("tasks.categories=[Translation]", ["Translation"]),
        ("tasks.categories=[]", []),
    ],
)
def test_a_bare_text_is_a_list_of_one(word: str, expected: list[str]) -> None:
    config, before = compose_config((word,)), compose_config(())
    assert config.tasks.categories == expected
    assert config == replace(before, tasks=replace(before.tasks, categories=expected))


def test_so_it_is_for_every_list() -> None:
    config = compose_config(("tasks.test_include=t*", "evaluation.instructions=delusive", "logger.tags=x"))
    assert config.tasks.test_include == ["t*"]
    assert config.evaluation.instructions == ["delusive"]
    assert config.logger.tags == ["x"]
    with pytest.raises(UserError, match="categories"):
        compose_config(("tasks.categories={a: b}",))


def test_of_budgets_alone_any_other_number_may_be_given() -> None:
    assert "Any other number" in str(unknown_choice("data_budget", "9", ["8", "16"]))
    assert "Any other number" not in str(unknown_choice("model", "tiny", ["large"]))


def test_of_a_long_message_both_ends_stay() -> None:
    assert shortened("x" * LONGEST) == "x" * LONGEST
    cut = shortened("a" * LONGEST + "b")
    assert cut.startswith("a" * (LONGEST // 2) + " … ")
    assert cut.endswith("ab")
    assert len(cut) < LONGEST + 5


@pytest.mark.parametrize("word", ["[plain,set_12/bars]", "plain+set_12/bars"])
def test_a_list_of_templates_is_the_text_that_joins_them(word: str) -> None:
    assert compose_config([f"prompt.template={word}"]).prompt.template == "plain+set_12/bars"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("trainer.lr", "trainer.learning_rate"), ("lr", "trainer.learning_rate"), ("trainer.bs", "trainer.batch_size"),
        ("trainer.num_epochs", "trainer.epochs"), ("epochs", "trainer.epochs"), ("trainer.steps", "trainer.max_steps"),
        ("lora_rank", "method.rank"), ("method.r", "method.rank"), ("rank", "method.rank"), ("budget", "data_budget"),
        ("variant", "instruction"), ("dataset", "tasks"), ("trainer.grad_clip", "trainer.gradient_clip"),
        ("output_dir", "output"), ("trainer.warmup", "trainer.warmup_steps"), ("seeds", "seed"), ("modle", "model"),
        ("trainer.learning_rat", "trainer.learning_rate"), ("prompt.max_length", "prompt.max_source_length"),
        ("instruction.shots", "instruction.num_positive"), ("evaluation.metric", "evaluation.metrics"),
    ],
)  # fmt: skip
def test_suggestions_are_what_was_meant(given: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"did you mean '{re.escape(meant)}'"):
        check_key(given)


@pytest.mark.parametrize("given", ["nothing", "install", "trainer.nothing", "hydra_x", "zzz.y"])
def test_what_is_like_nothing_is_given_no_other_name(given: str) -> None:
    with pytest.raises(UserError) as refused:
        check_key(given)
    assert "did you mean" not in str(refused.value)


def test_names_from_elsewhere_lead_to_keys_and_are_none() -> None:
    known = {*keys(), *groups()}
    assert known >= {*ELSEWHERE.values()}
    assert not known & {*ELSEWHERE}
