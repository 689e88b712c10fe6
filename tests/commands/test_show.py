from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from instruct_ablate.command_line import group

CELL = Path(__file__).parents[1] / "goldens" / "old_study" / "tiny_llama-original-2-s0-b383ea47"
OTHER = CELL.with_name("tiny_llama-simplified-2-s0-f25739e8")


def test_five_rows_are_shown_unless_more_are_wanted() -> None:
    def rows(*words: str) -> int:
        said = json.loads(CliRunner().invoke(group, ["show", str(CELL), "--json", *words]).output)
        assert said["of"] == 18
        return len(said["rows"])

    assert [rows(), rows("--limit", "7"), rows("--limit", "0")] == [5, 7, 18]


def show(*words: object) -> Result:
    return CliRunner().invoke(group, ["show", *map(str, words)])


def test_one_cell_is_shown_and_two_are_held_against_each_other() -> None:
    for words in ((CELL, OTHER), ("--diff", CELL), ("--diff", CELL, OTHER, CELL)):
        assert "show takes one cell, or --diff and two" in str(show(*words).exception)
    assert show().exit_code == 2
    lines = show("--diff", CELL, OTHER, "--limit", 1).output.splitlines()
    assert lines[-1].startswith("1 of ")
    assert lines[-1].endswith(" instances answered otherwise")
    assert "first (" in "\n".join(lines)


def test_rows_are_chosen_by_task_test_and_answer() -> None:
    rows = json.loads(show(CELL, "--json", "--limit", 0).output)["rows"]
    task = rows[0]["task"]
    said = json.loads(show(CELL, "--json", "--task", task).output)
    assert said["of"] == sum(row["task"] == task for row in rows) < 18
    assert json.loads(show(CELL, "--json", "--tested", "original").output)["of"] == 18
    wrong = show(CELL, "--wrong", "--limit", 0).output.splitlines()[-1]
    number = sum(not row["right"] for row in rows)
    assert wrong == f"{number} of {number} wrong predictions"
    assert show(CELL, "--limit", 2).output.splitlines()[-1] == "2 of 18 predictions"
    assert show(CELL, "--limit", -1).exit_code == 2


def test_the_help_says_how_many_are_shown() -> None:
    assert "[default: 5" in show("--help").output
