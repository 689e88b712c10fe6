from __future__ import annotations

from typing import Any

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import check
from instruct_ablate.tasks.settings import LIMITS
from tests.ends import Ends, check_ends


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"test_instances": 0}, "test_instances=0"),
        ({"test_tasks": 0}, "or null for all"),
        ({"include": [""]}, "tasks.include"),
        ({"categories": [201 * "x"]}, "at most 200"),
        ({"label_spaces": "a\0b"}, "label_spaces"),
        ({"columns": {"input": ""}}, r"tasks\.columns\.input='' is empty"),
        ({"columns": 3}, r"tasks\.columns\.input=COLUMN"),
        ({"root": 300 * "x"}, "255 bytes"),
    ],
)
def test_values_that_name_nothing(changes: dict[str, Any], said: str) -> None:
    check(TasksConfig("starter"))
    with pytest.raises(UserError, match=said):
        check(TasksConfig("starter", **changes))


@pytest.mark.parametrize(
    ("reader", "changes"),
    [
        ("starter", {"test_instances": 1, "test_tasks": 1}),
        (
            "starter",
            {"categories": [200 * "x"], "train_categories": [200 * "x"], "test_categories": [200 * "x"]},
        ),
        ("natural_instructions", {"split": 200 * "x", "language": None, "root": None}),
        ("hf_dataset", {"definition": 1_000_000 * "x", "columns": {"input": 200 * "x"}, "train_split": None}),
        ("starter", {"name": 200 * "x"}),
    ],
)
def test_values_that_just_go(reader: str, changes: dict[str, Any]) -> None:
    check(TasksConfig(reader, **changes))


@pytest.mark.parametrize(
    ("reader", "changes"),
    [
        ("natural_instructions", {"split": 201 * "x"}),
        ("natural_instructions", {"language": 201 * "x"}),
        ("hf_dataset", {"definition": 1_000_001 * "x"}),
        ("hf_dataset", {"columns": {"input": 201 * "x"}}),
        ("starter", {"name": 201 * "x"}),
        ("starter", {"train_categories": [201 * "x"]}),
        ("starter", {"test_categories": [201 * "x"]}),
        ("starter", {"test_instances": None, "test_tasks": 0}),
    ],
)
def test_names_longer_than_any(reader: str, changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"characters|test_tasks"):
        check(TasksConfig(reader, **changes))


def test_columns_are_named_by_texts() -> None:
    check(TasksConfig("hf_dataset", columns={"input": "a", "output": "b"}))
    with pytest.raises(UserError, match=r"tasks\.columns\.output=3 is no text"):
        check(TasksConfig("hf_dataset", columns={"input": "a", "output": 3}))  # type: ignore[dict-item]


ENDS: Ends = {
    "split": (("default", 200 * "x"), (201 * "x", "")),
    "language": (("English", None), (201 * "x",)),
    "root": (("a", None), ("",)),
    "test_subset": (("exactly_labelled", None), ("all",)),
    "test_tasks": ((1, None), (0,)),
    "test_instances": ((1, None), (0,)),
    "train_on": (("training_tasks", "test_task"), ("test_tasks", None)),
    "validation": ((0,), (-1, None)),
    "label_spaces": (("a.yaml", None), ("",)),
    "train_split": (("train", None), ("",)),
    "test_split": (("test", None), ("",)),
    "definition": ((1_000_000 * "x", None), (1_000_001 * "x",)),
    "examples": ((0, 1000), (-1, 1001)),
    "mixture": (("t0", "t0_plus", "t0_plus_plus", None), ("t1",)),
    "name": (("mine", None), (201 * "x",)),
    "sha256": ((64 * "a", None), (63 * "a", 65 * "a", 64 * "g", 3)),
    "labels": (([], ["a"]), ("a", [""])),
}


@pytest.mark.parametrize("name", ENDS)
def test_the_ends_of_what_each_key_may_be(name: str) -> None:
    check_ends(LIMITS[name], ENDS[name])
