from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from instruct_ablate.data.settings import (
    BATCHES,
    LIMITS,
    check_batches,
    check_data,
    check_encodings,
)
from instruct_ablate.errors import UserError
from instruct_ablate.schema import DataConfig, PromptConfig, TrainerConfig
from tests.ends import Ends, check_ends


def test_defaults_pass() -> None:
    check_data(DataConfig())
    check_batches(TrainerConfig())


@pytest.mark.parametrize("changes", [{"grouping": "tsk"}, {"group_size": 0}, {"num_workers": -1}])
def test_what_groups_nothing(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(changes))):
        check_data(DataConfig(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": 0},
        {"epochs": 0.0},
        {"epochs": float("inf")},
        {"max_steps": 0},
        {"micro_batch_tokens": 0},
    ],
)
def test_what_makes_no_step(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(changes))):
        check_batches(TrainerConfig(**changes))


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("grouping", ("none", "task", "prefix"), ("tasks",)),
        ("group_size", (1, 2**31 - 1), (0, 2**31)),
        ("num_workers", (0, 128), (-1, 129)),
        ("packing", (True, False), ()),
    ],
)
def test_the_ends_of_what_groups(key: str, good: tuple[Any, ...], bad: tuple[Any, ...]) -> None:
    for value in good:
        check_data(DataConfig(**{key: value}))
    for value in bad:
        with pytest.raises(UserError, match=rf"data\.{key}"):
            check_data(DataConfig(**{key: value}))


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("batch_size", (1,), (0, 1.5)),
        ("epochs", (1e-9, 1_000_000.0), (-0.5, 1_000_000.5, math.nan)),
        ("max_steps", (1, None), (0,)),
        ("micro_batch_tokens", (1,), (0, None)),
    ],
)
def test_the_ends_of_what_makes_a_step(key: str, good: tuple[Any, ...], bad: tuple[Any, ...]) -> None:
    for value in good:
        check_batches(TrainerConfig(**{key: value}))
    for value in bad:
        with pytest.raises(UserError, match=rf"trainer\.{key}"):
            check_batches(TrainerConfig(**{key: value}))


def test_what_to_do_instead_is_said() -> None:
    with pytest.raises(UserError, match=r"data_budget=0 is the untuned model"):
        check_batches(TrainerConfig(epochs=0.0))
    with pytest.raises(UserError, match="or null for as many as the epochs make"):
        check_batches(TrainerConfig(max_steps=0))


def test_tk_instructs_encodings_need_its_template_and_no_groups() -> None:
    data = DataConfig(encodings="tk_instruct")
    check_encodings(data, PromptConfig("tk_instruct"))
    check_encodings(DataConfig(), PromptConfig("plain"))
    with pytest.raises(UserError, match="give prompt=tk_instruct, not plain"):
        check_encodings(data, PromptConfig("plain"))
    with pytest.raises(UserError, match=r"data.grouping=task shares .* choose one of the two"):
        check_data(DataConfig(encodings="tk_instruct", grouping="task"))


def test_what_templates_do_to_encodings_and_groups() -> None:
    encodings = DataConfig(encodings="tk_instruct")
    check_encodings(encodings, PromptConfig("tk_instruct+plain"))
    with pytest.raises(UserError, match=r"is of Tk-Instruct's template"):
        check_encodings(encodings, PromptConfig("tk_instruct+plain", training_template="plain"))
    check_encodings(DataConfig(grouping="task"), PromptConfig("set_12"))
    with pytest.raises(UserError, match=r"training_template=drawn draws a template for each"):
        check_encodings(DataConfig(grouping="task"), PromptConfig("set_12", training_template="drawn"))


def test_beginnings_are_shared_under_all_that_draws_prompts() -> None:
    shared = DataConfig(grouping="prefix")
    check_data(replace(shared, encodings="tk_instruct"))
    check_data(replace(shared, altered_share=0.5))
    check_encodings(shared, PromptConfig("set_12", training_template="drawn"))
    with pytest.raises(UserError, match=r"data.grouping=prefix .*data.packing=false .*choose one of the two"):
        check_data(replace(shared, packing=False))


ENDS: Ends = {
    "grouping": (("none", "task", "prefix"), ("tsk", None)),
    "group_size": ((1,), (0,)),
    "encodings": (("one", "tk_instruct"), ("two",)),
    "references": (("one", "every_epoch"), ("all",)),
    "num_workers": ((0, 128), (-1, 129)),
    "batch_size": ((1,), (0,)),
    "epochs": ((1e-9, 1_000_000), (0, 1_000_001)),
    "max_steps": ((1, None), (0,)),
    "micro_batch_tokens": ((1,), (0,)),
}


@pytest.mark.parametrize("name", ENDS)
def test_the_ends_of_what_each_key_may_be(name: str) -> None:
    check_ends({**LIMITS, **BATCHES}[name], ENDS[name])
