"""Records and declarations of version 1, brought up to today's: from what was hashed, or from their axes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.state.record.old_record import (
    data_names,
    modern_declaration,
    modern_record,
    with_data_name,
)
from instruct_ablate.cell.state.setting.setting import Setting, make_setting

AXES = {
    "tasks": "starter",
    "instruction": "simplified",
    "num_positive": 1,
    "data_budget": 4,
    "budget_tasks": None,
    "model": "org/tiny",
    "method": "full",
    "prompt": "tk_instruct",
    "decoding": "greedy",
    "seed": 3,
}
OLD: dict[str, Any] = {
    "identity": "ab" * 32,
    "name": "tiny-1",
    "axes": AXES,
    "format": 1,
    "data_hash": "d1",
    "notes": ["a note"],
    "blocks": [{"instruction": "simplified"}, {"instruction": "delusive"}],
}
SHOWN = {"num_negative": 0, "explanations": False, "rate": 0.2, "correct": 0.5}
COUNTED = {
    "instruction": SHOWN,
    "tested": [SHOWN],
    "data": "d1",
    "checkpoint": "c1",
    "extensions": [],
    "data_budget.instances_per_task": 4,
    "method.name": "full",
    "prompt.template": "tk_instruct",
    "trainer.learning_rate": 0.5,
}


def values(record: dict[str, Any]) -> dict[str, Any]:
    return dict(record["setting"]["values"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cell's folder with what was hashed."""
    (tmp_path / "identity.json").write_text(json.dumps({"identity": "ab" * 32, "counted": COUNTED}))
    return tmp_path


def test_the_rest_of_a_record_stays_and_axes_become_setting_and_seed():
    modern = modern_record(OLD, None)
    assert set(modern) == {*OLD, "setting", "seed", "version"} - {"axes", "format"}
    assert (modern["version"], modern["seed"], modern["notes"]) == (1, 3, ["a note"])
    assert modern["setting"]["tuned"] is False
    assert json.loads(json.dumps(modern)) == modern, "it is JSON"


def test_without_what_was_hashed_the_axes_are_all(tmp_path: Path):
    for place in (None, tmp_path):
        modern = modern_record(OLD, place)
        assert values(modern)["model"] == "tiny"
        assert "trainer.learning_rate" not in values(modern)
        assert modern["setting"]["revisions"] == [["tasks", "d1"]]


def test_what_was_hashed_says_more(folder: Path):
    modern = modern_record(OLD, folder)
    assert values(modern)["trainer.learning_rate"] == 0.5
    assert values(modern)["evaluation.instructions"] == ["delusive", "simplified"]
    assert modern["setting"]["revisions"] == [["model", "c1"], ["tasks", "d1"]]
    assert "evaluation.instructions" not in values(modern_record({**OLD, "blocks": []}, folder))


@pytest.mark.parametrize(
    "text", ['{"identity": "cd", "counted": {}}', "{}", "[", '{"identity": "%s"}' % ("ab" * 32)]
)
def test_another_cells_or_a_damaged_file_counts_for_nothing(folder: Path, text: str):
    (folder / "identity.json").write_text(text)
    assert modern_record(OLD, folder) == modern_record(OLD, None)


def test_a_declaration_looks_for_its_cells_in_their_folders(folder: Path):
    old = {key: OLD[key] for key in ("identity", "name", "axes", "data_hash")}
    new = {"identity": "cd", "name": "new", "setting": {}, "seed": 0}
    declared = {"study": "s", "cells": [old, new]}
    (folder / "tiny-1").mkdir()
    (folder / "identity.json").rename(folder / "tiny-1" / "identity.json")
    first, second = modern_declaration(declared, folder)["cells"]
    assert values(first)["trainer.learning_rate"] == 0.5
    assert set(first) == {"identity", "name", "data_hash", "setting", "seed"}
    assert second == new
    assert "trainer.learning_rate" not in values(modern_declaration(declared, None)["cells"][0])
    assert modern_declaration({"study": "s"}, None) == {"study": "s", "cells": []}


def own_data(tasks: str, content: str = "d1", reader: str | None = "hf_dataset") -> Setting:
    return make_setting(
        {"tasks": tasks, **({"tasks.reader": reader} if reader else {})},
        {"tasks": content} if content else {},
    )


def test_a_data_set_without_a_name_takes_the_one_that_its_content_has_elsewhere():
    named, without, imported = (
        own_data("reviews"),
        own_data("hf_dataset"),
        own_data("hf_dataset", reader=None),
    )
    names = data_names([without, named, imported])
    assert names == {("d1", "hf_dataset"): "reviews"}
    assert with_data_name(without, names) == with_data_name(named, names) == named
    assert with_data_name(imported, names) == own_data("reviews", reader=None)


@pytest.mark.parametrize(
    "others",
    [
        [],
        [own_data("reviews", "d2")],  # another data set of the same reader
        [own_data("reviews"), own_data("ratings")],  # nobody can say which
    ],
)
def test_where_none_or_several_names_are_there_the_readers_stays(others: list[Setting]):
    without = own_data("hf_dataset")
    assert with_data_name(without, data_names([without, *others])) == without


def test_contents_that_are_not_known_are_not_the_same():
    without = own_data("hf_dataset", "")
    assert with_data_name(without, data_names([without, own_data("reviews", "")])) == without
