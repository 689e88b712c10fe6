from __future__ import annotations

from instruct_ablate.configuration.typed_values import typed
from instruct_ablate.schema import (
    TasksConfig,
)


def test_a_schema_made_once_is_left_as_it_was() -> None:
    first = typed(TasksConfig, {"reader": "starter", "include": ["a"]})
    assert isinstance(first, TasksConfig)
    first.include.append("b")
    assert typed(TasksConfig, {"reader": "starter"}).include == TasksConfig().include
