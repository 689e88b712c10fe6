from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from instruct_ablate.command_line import group

CELL = Path(__file__).parents[1] / "goldens" / "old_study" / "tiny_llama-original-2-s0-b383ea47"


def test_five_rows_are_shown_unless_more_are_wanted() -> None:
    def rows(*words: str) -> int:
        said = json.loads(CliRunner().invoke(group, ["show", str(CELL), "--json", *words]).output)
        assert said["of"] == 18
        return len(said["rows"])

    assert [rows(), rows("--limit", "7"), rows("--limit", "0")] == [5, 7, 18]
