from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.setting.data_name import READER_OF_CHOICE, data_name
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.configuration.folders import config_directory
from tests.standins import make_config, replace_inputs


def test_every_shipped_choice_is_known_by_its_reader() -> None:
    files = (config_directory() / "tasks").glob("*.yaml")
    assert {file.stem: yaml.safe_load(file.read_text())["reader"] for file in files} == READER_OF_CHOICE


@pytest.mark.parametrize(
    ("name", "reader", "shown"),
    [
        ("starter", "my_tasks.parity", "my_tasks.parity"),
        ("starter_yes_no", "p3", "p3"),
        ("starter_yes_no", "starter", "starter_yes_no"),
        ("reviews", "my_tasks.parity", "reviews"),
        (None, "hf_dataset", "hf_dataset"),
    ],
)
def test_a_choice_whose_reader_was_exchanged_names_nothing(name: str | None, reader: str, shown: str) -> None:
    assert data_name(name, reader) == shown


def test_a_cell_is_named_by_what_read_its_data_and_stays_the_same_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_inputs(monkeypatch)
    config = make_config(tmp_path)
    own = replace(config, tasks=replace(config.tasks, name="starter", reader="my_tasks.parity"))
    bare = replace(own, tasks=replace(own.tasks, name=None))
    assert identify(own).setting.get("tasks") == "my_tasks.parity"
    assert "starter" not in identify(own).name
    assert identify(own).hash == identify(bare).hash


def test_an_early_record_stands_with_the_cells_of_now() -> None:
    fields = {"values": [["tasks", "starter"], ["tasks.reader", "my_tasks.parity"]]}
    assert dict(Setting.brought_up(fields)["values"])["tasks"] == "my_tasks.parity"
