from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import get_type_hints

from instruct_ablate.cell.state.counting import DOES_NOT_COUNT, counting
from instruct_ablate.schema import (
    Config,
)


def test_every_key_that_does_not_count_exists() -> None:
    known = {f.name for f in fields(Config)}
    for name, hint in get_type_hints(Config).items():
        if is_dataclass(hint):
            known |= {f"{name}.{part.name}" for part in fields(hint)}
    assert known >= DOES_NOT_COUNT


def test_only_groups_are_flattened_and_what_does_not_count_is_left_out() -> None:
    tree = {
        "tasks": {"columns": {"input": "a"}, "name": "x"},
        "seed": 1,
        "output": "here",
        "trainer": {"epochs": 2},
    }
    assert "tasks.name" in DOES_NOT_COUNT
    assert "output" in DOES_NOT_COUNT
    assert counting(tree) == {"tasks.columns": {"input": "a"}, "seed": 1, "trainer.epochs": 2}
