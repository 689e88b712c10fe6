"""Identities, folder names, W&B run ids and what was hashed, frozen; see README.md before changing a golden."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.state.record.record import FORMAT
from tests.goldens import cases, expected

GOLDEN = json.loads((cases.HERE / "identities.json").read_text(encoding="utf-8"))
CELLS: dict[str, dict[str, Any]] = {row["name"]: row for row in GOLDEN["cells"]}
OWN = [name for name, row in CELLS.items() if "counted" in row]


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data; another one than the goldens were made in, so that no path can be in a hash."""
    folder = tmp_path_factory.mktemp("identities")
    cases.write_data(folder / "data")
    return folder


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_is_the_same_as_ever(name: str, folder: Path) -> None:
    row = CELLS[name]
    if "wandb" in row:  # tags are names, and may change
        row = {**row, "wandb": {key: value for key, value in row["wandb"].items() if key != "tags"}}
    assert as_json(expected.identity_row(name, row["overrides"], row.get("alike"), folder)) == row


def test_the_goldens_hold_together() -> None:
    assert len(OWN) >= 24
    assert [cases.digest(CELLS[name]["counted"]) for name in OWN] == [CELLS[name]["hash"] for name in OWN]
    assert len({CELLS[name]["hash"] for name in OWN}) == len(OWN)
    alike = {name: row["alike"] for name, row in CELLS.items() if "alike" in row}
    assert {name: CELLS[name]["hash"] for name in alike} == {n: CELLS[a]["hash"] for n, a in alike.items()}
    assert all(row["folder"].endswith(f"-{row['hash'][:8]}") for row in CELLS.values())


def test_cases_are_those_of_the_goldens() -> None:
    every = {**cases.CASES, **{name: words for name, (_, words) in cases.ALIKE.items()}}
    assert {name: tuple(row["overrides"]) for name, row in CELLS.items()} == every


def test_three_wandb_runs() -> None:
    runs = {name: row["wandb"] for name, row in CELLS.items() if "wandb" in row}
    assert [run["job_type"] for run in runs.values()] == ["train", "untuned", "baseline"]
    assert all(run["id"] == CELLS[name]["hash"][:16] for name, run in runs.items())


@pytest.mark.parametrize("row", GOLDEN["imported"], ids=lambda row: row["name"])
def test_an_imported_cell_is_the_same_as_ever(row: dict[str, Any], tmp_path: Path) -> None:
    assert expected.import_row(row["name"], tmp_path) == row


# Traps: what these four assert is so today, whether it is wanted or not.


def test_trap_the_format_of_records_is_hashed() -> None:
    # When FORMAT is raised, this line is the one to change: identities must then go on hashing 1, by a constant
    # of their own. A golden with another number in it would make every cell ever run a new one.
    assert FORMAT == 1
    assert {CELLS[name]["counted"]["format"] for name in OWN} == {1}


@pytest.mark.parametrize("row", GOLDEN["imported"], ids=lambda row: row["name"])
def test_trap_imported_identities_hash_the_text_of_their_axes(row: dict[str, Any]) -> None:
    # `repr(Axes)` with the class's name, the order of its fields and how Python writes them: a renamed class or a
    # further field changes the identity of every imported cell, and importing again would double it.
    text = f"{row['axes']}\n{cases.COLLECTION.content_hash}\n"
    text += "".join(repr((("a_task", key), said)) for key, said in cases.IMPORTS[row["name"]].answers.items())
    assert hashlib.sha256(text.encode()).hexdigest() == row["hash"]


@pytest.mark.parametrize("row", GOLDEN["stored_tasks"], ids=lambda row: row["name"])
def test_trap_every_field_of_a_stored_task_is_in_its_digest(row: dict[str, Any], folder: Path) -> None:
    # A further key in these rows (all but the last four are hashed) changes each digest, so each data hash, so
    # each identity: a new field must stay out of the digest while it has its default.
    assert expected.task_rows(row["name"], row["overrides"], folder) == row
    hashed = [
        "name",
        "definition",
        "positive_examples",
        "negative_examples",
        "categories",
        "label_space",
        "prompted",
    ]
    assert [list(task) for task in row["rows"]] == [[*hashed, "test", "languages", "notes", "digest"]] * len(
        row["rows"]
    )
    assert CELLS[row["name"]]["counted"]["data"] == row["content_hash"]


def test_trap_one_hash_can_have_two_folders() -> None:
    # Without examples by number is the same cell as `no_examples`, under another name and other axes.
    one, other = CELLS["no examples"], CELLS["no examples, by number"]
    assert one["hash"] == other["hash"]
    assert one["folder"].startswith("tiny_llama-no_examples-4-s0-")
    assert other["folder"].startswith("tiny_llama-original-4-s0-")
    assert one["axes"] != other["axes"]
