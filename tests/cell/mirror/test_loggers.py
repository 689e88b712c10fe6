"""Loggers: what all mirrors share; nothing that a logging service does ends a cell."""

from __future__ import annotations

import logging

import pytest

from instruct_ablate.cell.mirror.loggers import flat_scores, guarded
from instruct_ablate.cell.mirror.settings import check_logger
from instruct_ablate.errors import UserError
from instruct_ablate.schema import LoggerConfig
from tests.report.cells import make_cell


def test_scores_are_flat_and_none_is_left_out():
    flat = flat_scores(make_cell(50.0))
    assert flat["original/generation/rougeL"] == 40.0
    assert "original/generation/uniform_guess" not in flat


def test_an_unknown_logger_is_refused_and_the_nearest_named():
    with pytest.raises(UserError, match="did you mean 'wandb'"):
        check_logger(LoggerConfig("wandbb"))
    with pytest.raises(UserError, match="online"):
        check_logger(LoggerConfig("wandb", mode="onlin"))


def test_a_logging_service_ends_no_cell(caplog):
    with caplog.at_level(logging.WARNING), guarded("W&B"):
        raise RuntimeError("in the middle")
    assert "in the middle" in caplog.text
