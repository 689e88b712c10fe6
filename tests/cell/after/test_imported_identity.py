"""A file that an earlier version imported with references of its own is that cell again, not a second one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.after import imported_identity as module
from instruct_ablate.cell.after.import_predictions import Matching, Source, import_predictions, write_imported
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.grid.study import read_study
from tests.cell.after.test_import_predictions import COLLECTION, rows, write

OWN = Matching(own_references=True)


def imported(folder: Path, references: str, how: Matching = OWN) -> CellRecord:
    path = write(folder, [row | {"references": [references]} for row in rows()])
    return write_imported(import_predictions(path, COLLECTION, how), Source("m"), COLLECTION, folder / "s")


def as_earlier(monkeypatch: pytest.MonkeyPatch, folder: Path, references: str) -> CellRecord:
    """Import as a version did whose identities did not count references of the file's own."""
    whole = module._identity

    def before(given: Any, axes: Any, collection: Any, own_references: bool) -> str:
        return whole(given, axes, collection, False)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_identity", before)
        return imported(folder, references)


def test_a_file_imported_again_is_the_cell_of_the_earlier_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: it became a second cell, and its predictions stood in every table twice."""
    earlier = as_earlier(monkeypatch, tmp_path, "neutral")
    again = imported(tmp_path, "neutral")
    assert (again.identity, again.name) == (earlier.identity, earlier.name)
    (cell,) = read_study(tmp_path / "s").cells
    assert cell.blocks[0].scores == again.blocks[0].scores


def test_other_references_are_another_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = as_earlier(monkeypatch, tmp_path, "neutral")
    other = imported(tmp_path, "positive")
    assert other.identity != earlier.identity
    assert len(read_study(tmp_path / "s").cells) == 2
    (tmp_path / "s" / earlier.name / earlier.blocks[0].predictions).write_text("no prediction")
    assert imported(tmp_path, "neutral").identity not in (earlier.identity, other.identity)
