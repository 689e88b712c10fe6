"""Scores by instance: they come back as written, and where they cannot be read it is said how to make them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.state.record.instance_scores import (
    KEYS,
    checksum,
    completed,
    is_as_scored,
    read_columns,
)
from instruct_ablate.cell.state.record.predictions import PredictionRow
from instruct_ablate.cell.state.record.record import SCORING, ScoreBlock
from instruct_ablate.metrics import Metric
from instruct_ablate.metrics.registry import built_in
from tests.standins import make_scores

BLOCK = ScoreBlock("simplified", "predictions/simplified.jsonl", make_scores())


def length(prediction: str, references: object) -> float:
    return float(len(prediction))


LENGTH = Metric("length", "length", "characters", score=length)


def row(task: str, number: int, **values: float) -> PredictionRow:
    return PredictionRow(
        task, "Logic", "generation", f"i{number}", "", "a", ("a",), None, False, tuple(values.items())
    )


ROWS = [row("t1", 0, rougeL=0.5, exact_match=1.0), row("t1", 1, rougeL=0.25), row("t2", 0, length=3.0)]


@pytest.fixture
def block(tmp_path: Path) -> ScoreBlock:
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions" / "simplified.jsonl").write_bytes(b"what was predicted")
    return completed(tmp_path, BLOCK, ROWS, (*built_in(), LENGTH))


def test_columns_come_back_row_by_row_with_gaps(tmp_path: Path, block: ScoreBlock):
    read = read_columns(tmp_path, block.instances).to_pydict()
    assert list(zip(*(read.pop(key) for key in KEYS), strict=True)) == [
        ("t1", "i0"),
        ("t1", "i1"),
        ("t2", "i0"),
    ]
    assert read == {
        "rougeL": [0.5, 0.25, None],
        "exact_match": [1.0, None, None],
        "length": [None, None, 3.0],
    }


def test_the_block_notes_file_checksum_version_and_own_metrics(tmp_path: Path, block: ScoreBlock):
    assert block.instances == "scores/simplified.parquet"
    assert (tmp_path / block.instances).is_file()
    assert block.sha256 == hashlib.sha256(b"what was predicted").hexdigest()
    assert block.sha256 == checksum(tmp_path / block.predictions)
    assert block.metrics == (LENGTH.description,), "built-in ones are known everywhere"
    assert block.scoring == SCORING
    assert replace(block, instances="", sha256="", metrics=(), scoring=0) == BLOCK, "the rest stays"


def test_predictions_of_other_bytes_are_not_those_of_the_scores_and_an_early_block_cannot_tell(
    block: ScoreBlock,
):
    assert is_as_scored(block, b"what was predicted")
    assert not is_as_scored(block, b"what was predicted ")
    assert is_as_scored(replace(block, sha256=""), b"anything")


def test_a_file_that_is_none_or_another_raises_what_readers_expect(tmp_path: Path, block: ScoreBlock):
    (tmp_path / block.instances).write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"footer|Parquet"):
        read_columns(tmp_path, block.instances)
    (tmp_path / block.instances).unlink()
    with pytest.raises(FileNotFoundError):
        read_columns(tmp_path, block.instances)
