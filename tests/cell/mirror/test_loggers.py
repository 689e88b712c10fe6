"""Loggers: what all mirrors share; nothing that a logging service does ends a cell."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from instruct_ablate.cell.mirror.loggers import (
    Plain,
    Silent,
    guarded,
)
from instruct_ablate.cell.mirror.score_keys import block_scores, flat_scores
from instruct_ablate.cell.mirror.settings import check_logger
from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.cost import Cost
from instruct_ablate.errors import UserError
from instruct_ablate.schema import LoggerConfig
from tests.report.cells import make_cell, place


def test_an_unknown_logger_is_refused_and_the_nearest_named():
    with pytest.raises(UserError, match="did you mean 'wandb'"):
        check_logger(LoggerConfig("wandbb"))
    with pytest.raises(UserError, match="online"):
        check_logger(LoggerConfig("wandb", mode="onlin"))


def test_a_logging_service_ends_no_cell(caplog):
    with caplog.at_level(logging.WARNING), guarded("W&B"):
        raise RuntimeError("in the middle")
    assert "in the middle" in caplog.text


class Noted:
    """In a Lightning logger's place: notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def log_hyperparams(self, values: dict[str, str]) -> None:
        self.told.append(("hyperparams", values))

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        self.told.append(("metrics", (values, step)))

    def save(self) -> None:
        self.told.append(("save", None))

    def finalize(self, status: str) -> None:
        self.told.append(("finalize", status))


def plain() -> tuple[Plain, Noted]:
    logger = Noted()
    return Plain(logger, Identity("ab" * 32, "name", place(lr=0.5), 3, "d", {})), logger  # type: ignore[arg-type]


def test_a_plain_logger_is_told_who_the_cell_is():
    mirror, logger = plain()
    assert mirror.loggers() == [logger]
    ((kind, told),) = logger.told
    assert kind == "hyperparams"
    assert (told["seed"], told["identity"]) == ("3", "ab" * 32)
    assert (told["trainer.learning_rate"], told["model"], told["instruction"]) == ("0.5", "tiny", "original")


def test_a_plain_logger_is_told_of_no_scores_where_there_are_none():
    mirror, logger = plain()
    mirror.finish(replace(make_cell(None), state="failed"))
    assert logger.told[1:] == [("save", None), ("finalize", "failed")]
    assert Silent().loggers() == []


def test_what_a_mirror_lost_is_noted_in_one_line(caplog):
    lost: list[str] = []
    with guarded("W&B", lost):
        raise RuntimeError("first\nsecond " + 400 * "x")
    assert lost == ["W&B has lost this cell (RuntimeError: first)"]
    with guarded("W&B", lost):
        raise RuntimeError(400 * "x")
    assert lost[1] == f"W&B has lost this cell (RuntimeError: {286 * 'x'})"
    with guarded("W&B", lost):
        pass
    assert len(lost) == 2


def test_a_plain_logger_is_told_the_scores_of_a_done_cell_at_its_last_step():
    mirror, logger = plain()
    cell = replace(make_cell(50.0), cost=Cost(train_steps=7))
    mirror.finish(cell)
    assert logger.told[1:] == [
        ("metrics", ({**block_scores(cell), **flat_scores(cell)}, 7)),
        ("save", None),
        ("finalize", "success"),
    ]
