from __future__ import annotations

from typing import Any

import pytest
from wandb import Settings
from wandb.errors import UsageError

from instruct_ablate.cell.mirror.settings import LIMITS, PROJECT, check_logger, mirrored_name
from instruct_ablate.errors import UserError
from instruct_ablate.schema import LoggerConfig
from tests.ends import Ends, check_ends


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


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": [64 * "x"]},
        {"timeout": 0.0},
        {"timeout": 86400.0},
        {"predictions": 0},
        {"predictions": 100_000},
        {"entity": None},
        *({"mode": mode} for mode in ("auto", "online", "offline")),
    ],
)
def test_values_that_just_go(changes: dict[str, Any]) -> None:
    check_logger(LoggerConfig("wandb", **changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"timeout": 86400.5}, r"logger\.timeout=86400.5 must be at least 0 and at most 86400"),
        ({"predictions": 100_001}, "at most 100000"),
        ({"mode": "disabled"}, "auto, offline, online"),
        ({"name": "wandbb"}, "did you mean 'wandb'"),
        ({"project": "a/b"}, r"logger\.project='a/b': W&B allows none of .* \(the team is logger\.entity\)$"),
        ({"project": "a#b"}, r": in a name$"),
        ({"entity": ""}, "is empty: give some text, or null for your own"),
    ],
)
def test_values_that_just_do_not(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_logger(LoggerConfig(**{"name": "wandb", **changes}))


def test_loggers_are_there_where_their_package_is(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    monkeypatch.setattr("importlib.util.find_spec", looked.append)
    for name in ("wandb", "csv", "none"):
        check_logger(LoggerConfig(name))
    assert looked == [], "these come with the tool"
    for name in ("tensorboard", "mlflow"):
        with pytest.raises(
            UserError, match=rf"needs the package {name}: pip install 'instruct-ablate\[{name}\]'"
        ):
            check_logger(LoggerConfig(name))
    assert looked == ["tensorboard", "mlflow"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: "there")
    check_logger(LoggerConfig("mlflow"))


def test_a_name_as_long_as_a_project_is_not_cut() -> None:
    assert mirrored_name(128 * "x") == 128 * "x"
    assert mirrored_name(129 * "x") == 128 * "x"
    assert mirrored_name("study", ": report") == "study: report"
    assert mirrored_name(129 * "x", ": report") == 120 * "x" + ": report"


ENDS: Ends = {
    "name": (("wandb", "csv", "tensorboard", "mlflow", "none"), ("wandbb", None)),
    "project": ((128 * "x",), (129 * "x", None)),
    "entity": ((128 * "x", None), (129 * "x", "a/b")),
    "mode": (("auto", "online", "offline"), ("on",)),
    "tags": (([64 * "x"], []), ([65 * "x"], "a")),
    "timeout": ((0, 86400.0), (-0.1, 86400.1)),
    "predictions": ((0, 100_000), (-1, 100_001)),
}


@pytest.mark.parametrize("name", ENDS)
def test_the_ends_of_what_each_key_may_be(name: str) -> None:
    check_ends(LIMITS[name], ENDS[name])
