from __future__ import annotations

import os
from pathlib import Path

import pytest

from instruct_ablate.cell.state.record.prediction_writer import PredictionWriter
from instruct_ablate.cell.state.record.predictions import (
    partial_path,
    written_rows,
)


@pytest.mark.parametrize("kind", ["garbage", "pipe", "folder", "link"])
def test_what_is_damaged_of_an_unfinished_file_is_put_aside(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "original.jsonl"
    one = partial_path(path)
    {
        "garbage": lambda: one.write_bytes(os.urandom(100) + b"\n"),
        "pipe": lambda: os.mkfifo(one),
        "folder": one.mkdir,
        "link": lambda: one.symlink_to("/etc/hostname"),
    }[kind]()
    assert written_rows(path) == ()
    assert [aside.name for aside in tmp_path.iterdir()] == [f"{one.name}.damaged-1"]
    with PredictionWriter(path) as writer:
        writer.finish()
    assert path.read_bytes() == b""
