from __future__ import annotations

from click.testing import CliRunner

from instruct_ablate.command_line import group


def test_it_is_json_unless_the_page_is_asked_for() -> None:
    assert CliRunner().invoke(group, ["schema"]).output.startswith("{")
    assert CliRunner().invoke(group, ["schema", "--markdown"]).output.startswith("# Configuration")
