from __future__ import annotations

from typing import Any

import pytest

from instruct_ablate.data.settings import check_batches, check_data
from instruct_ablate.errors import UserError
from instruct_ablate.schema import DataConfig, TrainerConfig


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
