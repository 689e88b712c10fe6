from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.command_line import group
from instruct_ablate.grid.study import declare
from tests.standins import make_config, replace_inputs


def test_it_shows_the_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)
    declare(tmp_path, [identify(make_config(tmp_path))], make_config(tmp_path))
    result = CliRunner().invoke(group, ["status", str(tmp_path)])
    assert result.exit_code == 0
    assert "1 cells (1 missing)" in result.output
