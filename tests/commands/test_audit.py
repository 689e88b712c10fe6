from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError


def test_it_writes_a_page_for_the_configured_variant(tmp_path: Path) -> None:
    words = ["audit", "instruction=delusive", "tasks.test_tasks=2", "--output", str(tmp_path)]
    result = CliRunner().invoke(group, words)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "audit-delusive.html").exists()
    assert (tmp_path / "audit-delusive.json").exists()


def test_a_misspelt_key_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(group, ["audit", "instrction=delusive", "--output", str(tmp_path)])
    assert isinstance(result.exception, UserError)
