from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.grid.planned_cell import Cell, study_folder
from tests.standins import make_config, replace_inputs


def test_a_cells_record_lies_in_its_study_under_the_identitys_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_inputs(monkeypatch)
    config = make_config(tmp_path, study="mine")
    cell = Cell((), config, identify(config))
    assert study_folder(config) == tmp_path / "mine"
    assert cell.folder.parent == tmp_path / "mine"
    assert cell.folder.name == f"tiny_llama-original-8-s0-{cell.identity.hash[:8]}"


def test_a_cell_that_is_planned_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)
    config = make_config(tmp_path)
    cell = Cell((), config, identify(config))
    with pytest.raises(AttributeError):
        cell.config = make_config(tmp_path, seed=1)  # type: ignore[misc]
