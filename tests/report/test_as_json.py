"""JSON for programs: the fields that docs/json.md lists, with the numbers of the tables."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from instruct_ablate.command_line import group
from instruct_ablate.report.as_json import place_fields, setting_fields
from instruct_ablate.report.report import judge_study
from instruct_ablate.report.tables.tables import tidy
from instruct_ablate.tasks.sampling.budget import ALL
from tests.report.cells import make_cell, place

GOLDEN = Path(__file__).parents[1] / "goldens" / "old_study"
PAGE = Path(__file__).parents[2] / "docs" / "json.md"
CELL = "tiny_llama-original-2-s0-b383ea47"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "study"))


def asked(*words: str) -> Any:
    result = CliRunner().invoke(group, [*words, "--json"])
    assert result.exit_code == 0, result.exception
    return json.loads(result.output)


def listed(command: str) -> dict[str, set[str]]:
    """The fields that the page lists for a command, by what they are fields of."""
    part = PAGE.read_text().partition(f"## {command}\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^- `(\w+)`: (.+?)\.$", part, re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", fields)) for name, fields in lines}


def test_status(study: Path) -> None:
    said = asked("status", str(study))
    assert {"document": set(said), "cells": set(said["cells"][0])} == listed("status")
    cell = next(one for one in said["cells"] if one["name"] == CELL)
    assert (cell["state"], cell["seed"], cell["setting"]["data_budget"]) == ("done", 0, 2)
    assert cell["identity"].startswith("b383ea47")


def test_a_watch_is_for_people(study: Path) -> None:
    result = CliRunner().invoke(group, ["status", str(study), "--watch", "--json"])
    assert "looks once" in str(result.exception)


def test_report_has_the_numbers_of_its_tables(study: Path, tmp_path: Path) -> None:
    said = asked("report", str(study), "--output", str(tmp_path / "report"))
    fields = {"document": set(said)}
    fields |= {name: set(said[name][0]) for name in ("rows", "differences", "verdicts")}
    assert fields == listed("report")
    report = judge_study(study)
    assert [row["tested_on"] for row in said["rows"]] == [row.tested for row in report.rows]
    for row, one in zip(said["rows"], report.rows, strict=True):
        assert {name: mean["value"] for name, mean in row["means"].items()} == {
            name: mean.value for name, mean in one.means
        }
    assert [one["answer"] for one in said["verdicts"]] == [one.answer for one in report.verdicts]
    assert (tmp_path / "report" / "index.html").exists()


def test_a_budget_that_no_number_says_is_none() -> None:
    """1000000000 stands for "all" within; programs drew it."""
    assert setting_fields(place(data_budget=8))["data_budget"] == 8
    assert setting_fields(place(data_budget=ALL))["data_budget"] == "all"
    assert setting_fields(place(data_budget=ALL, **{"data_budget.total": 64}))["data_budget"] is None
    (row, *_) = tidy([make_cell(50.0, data_budget=ALL)])
    assert row["data_budget"] == "all"


def test_two_data_sets_of_one_name_are_told_apart() -> None:
    one, other = (place_fields(place("original", {"tasks": content})) for content in ("3f2a", "91bc"))
    assert one["setting"] == other["setting"]
    assert (one["revisions"], other["revisions"]) == ({"tasks": "3f2a"}, {"tasks": "91bc"})


def test_compare(study: Path) -> None:
    said = asked("compare", str(study), str(study))
    assert set(said) == listed("compare")["document"]
    assert {line["difference"] for line in said["lines"]} == {"+0.00"}
    assert {line["same"] for line in said["lines"]} == {"yes"}


def test_plan(tmp_path: Path) -> None:
    words = ("model=tiny_llama", "data_budget=0,2", "instruction=original", "tasks.test_tasks=2")
    said = asked("plan", *words, f"output={tmp_path}", f"cache={tmp_path}/cache")
    assert {"document": set(said), "cells": set(said["cells"][0])} == listed("plan")
    assert [(one["setting"]["data_budget"], one["state"]) for one in said["cells"]] == [
        (0, "missing"),
        (2, "missing"),
    ]
    assert said["cells"][0]["steps"] == 0 < said["cells"][1]["steps"]


def test_audit(tmp_path: Path) -> None:
    words = ("audit", "instruction=delusive", "tasks.test_tasks=2", "--output", str(tmp_path))
    said = asked(*words)
    assert {"document": set(said), "findings": set(said["findings"][0])} == listed("audit")
    assert json.loads((tmp_path / "audit-delusive.json").read_text())["findings"] == said["findings"]
    assert CliRunner().invoke(group, words).output.splitlines() == said["lines"]


def test_show(study: Path) -> None:
    said = asked("show", str(study / CELL))
    assert {"document": set(said), "rows": set(said["rows"][0])} == listed("show")
