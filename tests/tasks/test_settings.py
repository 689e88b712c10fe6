from __future__ import annotations

from typing import Any

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import check


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
