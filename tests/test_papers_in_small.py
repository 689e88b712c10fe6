"""What docs/papers.md says of each grid in small: its own command gives scores within the ranges that stand there.

The ranges leave room beside what five seeds gave: another processor rounds otherwise, and training goes another way.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.metrics import Scores, find_measure, mean_scores
from tests.test_experiments import cells
from tests.test_papers import NAMES, SECTIONS

RANGE = r"(-?[\d.]+)(?: to (-?[\d.]+))?"
ROW = re.compile(rf"^\| `([^`]+)` \| `([^`]+)` \| `(\w+)` \| {RANGE} \| {RANGE} \|$", re.MULTILINE)
QUIET = ("logger=none", "trainer.progress=false", "reuse=none")


@dataclass(frozen=True)
class Expected:
    """A row of a section's table: whose score, what the five seeds gave, and what is held."""

    trained: str
    tested: str
    measure: str
    seen: tuple[float, float]
    held: tuple[float, float]


def rows(name: str) -> list[Expected]:
    return [
        Expected(trained, tested, measure, (float(a), float(b or a)), (float(low), float(high or low)))
        for trained, tested, measure, a, b, low, high in ROW.findall(SECTIONS[name])
    ]


def words(name: str) -> list[str]:
    """Return the overrides of the section's command in small."""
    command = re.search(
        rf"^In small: `python train.py -m experiment={name} (.+)`$", SECTIONS[name], re.MULTILINE
    )
    assert command, f"{name}: no command in small"
    return shlex.split(command[1])


@pytest.mark.parametrize("name", NAMES)
def test_every_grid_says_what_it_gives_in_small(name: str) -> None:
    assert words(name)
    assert len(rows(name)) >= 2
    for one in rows(name):
        find_measure(one.measure)
        assert one.held[0] <= one.seen[0] <= one.seen[1] <= one.held[1], f"{name}: {one}"
        assert one.held[1] - one.held[0] <= 60, f"{name}: {one}: a range that holds nearly all holds nothing"


def run(name: str, folder: Path) -> dict[str, CellRecord]:
    """Run the distinct cells of the command."""
    places = (f"output={folder}", f"cache={folder.parent / 'cache'}")
    made = {}
    for cell in cells(name, *words(name)):
        record = run_cell(compose_config([f"experiment={name}", *cell, *QUIET, *places]))
        assert record.state == "done", record.failure
        made[record.identity] = record
    return made


def trained_on(record: CellRecord) -> str:
    setting = record.setting
    if setting.get("model") in ("uniform_guess", "majority", "label_prior"):
        return str(setting.get("model"))
    return "untuned" if setting.untuned else setting.instruction


def meant(records: Mapping[str, CellRecord], one: Expected) -> Iterator[Scores]:
    """Yield the scores of a row: `original method=lora` is a cell by its variant and a key; templates are meaned."""
    trained, *keys = one.trained.split()
    for record in records.values():
        where = dict(key.split("=") for key in keys)
        if trained_on(record) == trained and all(record.setting.text(key) == where[key] for key in where):
            tests = (blocks for blocks in record.tests if blocks[0].instruction == one.tested)
            yield from (mean_scores([block.scores for block in blocks]) for blocks in tests)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("papers")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_scores_in_small_lie_in_their_ranges(name: str, folder: Path) -> None:
    records = run(name, folder / name)
    for one in rows(name):
        blocks = list(meant(records, one))
        assert len(blocks) == 1, f"{one}: {len(blocks)} cells are meant"
        value = find_measure(one.measure).value(blocks[0])
        assert value is not None, one
        assert one.held[0] - 0.01 <= value <= one.held[1] + 0.01, f"{name}: {one} is {value:.2f}"
