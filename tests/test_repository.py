"""The repository's own pages: what they name is there, and versions agree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from instruct_ablate import __version__

TOP = Path(__file__).parents[1]
PACKAGE = TOP / "src" / "instruct_ablate"


@pytest.mark.parametrize("page", ["AGENTS.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"])
def test_files_that_a_page_names_are_there(page: str) -> None:
    named = re.findall(r"`([\w./]+/|[\w./]+\.(?:py|md|yaml))`", (TOP / page).read_text(encoding="utf-8"))
    named += re.findall(r"\]\((?!http)([^)#]+)", (TOP / page).read_text(encoding="utf-8"))
    assert [name for name in named if not any((at / name).exists() for at in (TOP, PACKAGE))] == []


def test_targets_of_make_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(), re.MULTILINE))
    pages = ("README.md", "CONTRIBUTING.md", "AGENTS.md")
    named = {
        name for page in pages for name in re.findall(r"\bmake ([a-z-]+)\b(?=`|  )", (TOP / page).read_text())
    }
    assert {"sweep", "test"} <= named <= targets


def test_pictures_are_shown_and_small() -> None:
    """They travel with every clone."""
    shown = re.findall(
        r"!\[[^]]+\]\((docs/pictures/[\w.]+)\)", (TOP / "README.md").read_text(encoding="utf-8")
    )
    there = sorted((TOP / "docs" / "pictures").iterdir())
    assert sorted(TOP / name for name in shown) == there
    assert 0 < sum(path.stat().st_size for path in there) < 150_000


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((TOP / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert citation["cff-version"] == "1.2.0"
    assert {"title", "authors", "message", "type"} <= citation.keys()
