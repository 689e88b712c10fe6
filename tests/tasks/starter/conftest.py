"""The starter collection's files, read as plain JSON: no reader in between."""

import json
from typing import Any

import pytest

from instruct_ablate.tasks.starter import ROOT

Files = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def files() -> Files:
    return {
        path.stem: json.loads(path.read_text("utf-8")) for path in sorted((ROOT / "tasks").glob("*.json"))
    }


@pytest.fixture(scope="session")
def splits() -> dict[str, list[str]]:
    folder = ROOT / "splits" / "default"
    return {split: (folder / f"{split}_tasks.txt").read_text("utf-8").split() for split in ("train", "test")}


@pytest.fixture
def pairs(files):
    """The (input, references) pairs of a task given by its number, examples included."""

    def of(number: str) -> list[tuple[str, list[str]]]:
        task = next(content for name, content in files.items() if name.startswith(f"starter{number}_"))
        shots = [(shot["input"], [shot["output"]]) for shot in task["Positive Examples"]]
        return [(item["input"], item["output"]) for item in task["Instances"]] + shots

    return of
