"""The mirror: a cell's end is told, nothing that a logging service does ends a cell."""

from __future__ import annotations

import csv
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.mirror.loggers import Silent, check_logger, flat_scores, guarded, open_mirror
from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.errors import UserError
from instruct_ablate.schema import Config, LoggerConfig
from tests.report.cells import AXES, make_cell

IDENTITY = Identity("ab" * 32, "tiny-original-8-s0-abababab", AXES, "d" * 64, {})


def config(name: str) -> Config:
    return replace(Config(), logger=LoggerConfig(name))


def test_none_is_silent(tmp_path: Path):
    mirror = open_mirror(config("none"), IDENTITY, tmp_path)
    assert isinstance(mirror, Silent)
    assert mirror.loggers() == []
    mirror.finish(make_cell(50.0))
    assert list(tmp_path.iterdir()) == []


def test_csv_holds_axes_and_scores(tmp_path: Path):
    mirror = open_mirror(config("csv"), IDENTITY, tmp_path)
    assert len(mirror.loggers()) == 1
    mirror.finish(make_cell(50.0))
    (row,) = csv.DictReader((tmp_path / "csv" / "metrics.csv").read_text().splitlines())
    assert float(row["original/classification/exact_match"]) == 50.0
    assert "instruction: original" in (tmp_path / "csv" / "hparams.yaml").read_text()


def test_scores_are_flat_and_none_is_left_out():
    flat = flat_scores(make_cell(50.0))
    assert flat["original/generation/rougeL"] == 40.0
    assert "original/generation/uniform_guess" not in flat


def test_an_unknown_logger_is_refused_and_the_nearest_named():
    with pytest.raises(UserError, match="did you mean 'wandb'"):
        check_logger(LoggerConfig("wandbb"))
    with pytest.raises(UserError, match="online"):
        check_logger(LoggerConfig("wandb", mode="onlin"))


def test_a_mirror_that_breaks_is_told_and_done_without(tmp_path: Path, monkeypatch, caplog):
    def broken(*given: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("instruct_ablate.cell.mirror.loggers._wandb", broken)
    with caplog.at_level(logging.WARNING):
        assert isinstance(open_mirror(config("wandb"), IDENTITY, tmp_path), Silent)
    assert "no network" in caplog.text
    with guarded("W&B"):
        raise RuntimeError("in the middle")
