from __future__ import annotations

from typing import Any

import pytest
from wandb import Settings
from wandb.errors import UsageError

from instruct_ablate.cell.mirror.settings import PROJECT, check_logger, mirrored_name
from instruct_ablate.errors import UserError
from instruct_ablate.schema import LoggerConfig


@pytest.mark.parametrize("project", ["a/b", "a\\b", "a#b", "a?b", "a%b", "a:b", 129 * "x"])
def test_what_wandb_refuses_is_refused_before(project: str) -> None:
    with pytest.raises(UsageError):
        Settings(project=project)
    with pytest.raises(UserError, match="project"):
        check_logger(LoggerConfig("wandb", project=project))


@pytest.mark.parametrize("project", [128 * "x", "é 实验", "it's", "a=b"])
def test_what_wandb_takes_is_taken(project: str) -> None:
    Settings(project=project)
    check_logger(LoggerConfig("wandb", project=project))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tags": [""]}, "logger.tags"),
        ({"tags": [65 * "x"]}, "at most 64"),
        ({"timeout": float("inf")}, "logger.timeout=inf"),
        ({"timeout": -1.0}, "logger.timeout"),
        ({"predictions": -1}, "logger.predictions"),
        ({"entity": "a/b"}, "logger.entity"),
        ({"project": ""}, "is empty"),
    ],
)
def test_other_values(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_logger(LoggerConfig("wandb", **changes))


def test_a_studys_long_name_is_cut_to_a_group() -> None:
    assert mirrored_name("study") == "study"
    assert len(mirrored_name(255 * "x")) == PROJECT
