"""The paper index says what the configurations are: a section a grid, its settings, command and expected result."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.configuration.folders import config_directory
from instruct_ablate.configuration.typed_values import plain
from tests.test_experiments import FOLDER, composed
from tests.test_experiments import NAMES as GRIDS

NAMES = [name for name in GRIDS if name != "quickstart"]  # a first sweep, of no paper
TEXT = (Path(__file__).parents[1] / "docs" / "papers.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))
ROW = re.compile(r"^\| `([^`]+)` \| `([^`]*)` \| (\w) \|([^|]*)\|$", re.MULTILINE)
SETTINGS = [(name, *row) for name, body in SECTIONS.items() for row in ROW.findall(body)]


@cache
def config_of(*words: str) -> Any:
    return plain(composed(*words))


def test_every_grid_has_its_section() -> None:
    assert sorted(SECTIONS) == NAMES


@pytest.mark.parametrize(("name", "key", "value", "grade", "source"), SETTINGS)
def test_settings_are_those_of_the_configuration(
    name: str, key: str, value: str, grade: str, source: str
) -> None:
    """`choice: key` is a key of another choice of the grid, as of its part on P3."""
    assert grade in "SNMO"
    assert source.strip() or grade == "O"
    choice, _, key = key.rpartition(": ")
    node: Any = config_of(f"experiment={name}", *([choice] if choice else []))
    for part in key.split("."):
        node = getattr(node, part)
    shown = f"[{', '.join(map(str, node))}]" if isinstance(node, list) else str(node)
    assert shown == value, f"docs/papers.md, {name}: {key} is {shown}"


@pytest.mark.parametrize("name", NAMES)
def test_sections_say_claim_command_and_expectation(name: str) -> None:
    body = SECTIONS[name]
    assert len(ROW.findall(body)) >= 2
    for word in ("*Claim*", "Command:", "Expected:", "In small:"):
        assert word in body, f"{name}: {word} is missing"
    command = re.search(r"^Command: `(.+)`$", body, re.MULTILINE)
    head = [line for line in (FOLDER / f"{name}.yaml").read_text().splitlines() if line.startswith("# ")]
    assert command
    assert f"# {command[1]}" in head, "the file begins with the same command"
    assert any(line.startswith("# Expected:") for line in head)


@pytest.mark.parametrize("name", NAMES)
def test_commands_in_small_compose(name: str) -> None:
    command = re.search(r"^In small: `python train.py -m (.+)`$", SECTIONS[name], re.MULTILINE)
    assert command
    words = [word for word in shlex.split(command[1]) if "," not in word]
    composed(*(re.sub(r"^data_budget=(\d+)$", r"data_budget='\1'", word) for word in words))


def test_grades_are_explained_and_recalled_ones_are_marked_in_the_files() -> None:
    for grade in "SNMO":
        assert f"**{grade}**" in TEXT
    for name, body in SECTIONS.items():
        if any(grade == "M" for _, _, grade, _ in ROW.findall(body)):
            marked = (FOLDER / f"{name}.yaml").read_text() + (
                config_directory() / "trainer/kung_peng.yaml"
            ).read_text()
            assert "grade M" in marked or "Grade M" in marked, name
