"""Tests and benchmarks name what is there: those that run rarely, and the programs in their strings, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import blocks
from tests.docs.notebook import code_cells
from tests.own_names import missing

TOP = Path(__file__).parents[1]
# Names that their tests look for and do not find.
NOT_THERE = ("instruct_ablate.load_studdy", "instruct_ablate.python_api.nothing")


@pytest.mark.parametrize("folder", ["benchmarks", "tests"])
def test_what_files_name_of_ours_is_there(folder: str) -> None:
    found = [
        f"{file.relative_to(TOP)} {name}"
        for file in sorted((TOP / folder).rglob("*.py"))
        if file != Path(__file__)
        for name in missing(file.read_text(encoding="utf-8"))
    ]
    assert [name for name in found if not name.endswith(NOT_THERE)] == []


def test_what_the_guides_programs_name_is_there() -> None:
    """They run in the slow rehearsal alone."""
    texts = {f"{block.page}:{block.line}": block.text for block in blocks() if block.language == "python"}
    for number, cell in enumerate(code_cells(TOP / "docs" / "notebook.ipynb")):
        texts[f"notebook.ipynb, cell {number}"] = "".join(cell["source"])
    assert len(texts) > 10
    assert [f"{place} {name}" for place, text in texts.items() for name in missing(text)] == []


@pytest.mark.parametrize(
    ("program", "names"),
    [
        ("from instruct_ablate.grid.sweep import nothing", ["instruct_ablate.grid.sweep.nothing"]),
        ("import os, instruct_ablate.grid.nothing", ["instruct_ablate.grid.nothing"]),
        ("def f():\n    from tests.grid import small as s\n    s.nothing()", ["tests.grid.small.nothing"]),
        (
            "import instruct_ablate.grid.sweep as w\np.setattr(w, '_nothing', 1)",
            ["instruct_ablate.grid.sweep._nothing"],
        ),
        (
            "from instruct_ablate.grid import sweep\nsweep.nothing = len",
            ["instruct_ablate.grid.sweep.nothing"],
        ),
        ("p.setattr('instruct_ablate.grid.sweep.nothing', 1)", ["instruct_ablate.grid.sweep.nothing"]),
        ("words = ['-m', 'tests.grid.nothing']", ["tests.grid.nothing"]),
        ("from instruct_ablate.schema import Config\nConfig.nothing", ["Config.nothing"]),
    ],
)
def test_a_name_that_is_not_there_is_found(program: str, names: list[str]) -> None:
    """In a file as in a string of it, which is a program where it imports something of ours."""
    in_a_string = f"code = {'import tests; ' + program!r}" if "\n" not in program else f"code = {program!r}"
    for text in (program, in_a_string):
        assert [line.partition(": ")[2] for line in missing(text)] == names
