"""A record is held against what its identity was made from: right scores under a wrong name are found."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.after.hashed_setting import setting_fault
from instruct_ablate.cell.state.identity import digest, identify
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.keys import IMPORTED
from instruct_ablate.cell.state.setting.setting import Value
from instruct_ablate.cell.state.stored_config import IDENTITY
from instruct_ablate.schema import BudgetConfig, Config, EvaluationConfig, InstructionConfig, ModelConfig
from tests.standins import make_config, replace_inputs

CONFIGS: dict[str, dict[str, Any]] = {
    "trained": {},
    "no examples are asked for": {"instruction": InstructionConfig(definition="simplified", num_positive=0)},
    "no examples are shown": {"instruction": InstructionConfig(examples="empty")},
    "a rate": {"instruction": InstructionConfig(definition="deleted", rate=0.4)},
    "several tests": {
        "evaluation": EvaluationConfig(["original", "delusive", "deleted(0.4)", "no_examples"])
    },
    "untuned": {"data_budget": BudgetConfig(0)},
    "a baseline": {"model": ModelConfig("majority", kind="majority")},
}


@pytest.fixture(autouse=True)
def _inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)


def cell(config: Config, folder: Path) -> CellRecord:
    """A done cell of this configuration, with what was hashed of it beside."""
    own = identify(config)
    (folder / IDENTITY).write_text(own.to_json())
    return CellRecord(own.hash, own.name, own.setting, own.seed, "done", data_hash=own.data_hash)


@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
def test_a_record_as_it_was_written_has_no_fault(changes: dict[str, Any], tmp_path: Path) -> None:
    assert setting_fault(tmp_path, cell(make_config(tmp_path, **changes), tmp_path)) == ""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"data_budget": 800}, "data_budget is 800 in its record, and "),
        ({"trainer.learning_rate": 0.5}, "trainer.learning_rate is 0.5 in its record, and "),
        (
            {"instruction": "simplified"},
            "instruction is simplified with 2 positive examples in its record, and original",
        ),
        (
            {"instruction.num_positive": 1},
            "instruction is original with 1 positive examples in its record, and original",
        ),
        (
            {"evaluation.instructions": ("delusive",)},
            "tested on is delusive with 2 positive examples in its record, and",
        ),
    ],
)
def test_another_setting_than_the_hashed_one_is_named(
    change: dict[str, Value], told: str, tmp_path: Path
) -> None:
    record = cell(make_config(tmp_path), tmp_path)
    fault = setting_fault(tmp_path, replace(record, setting=record.setting.changed(**change)))
    assert fault is not None
    assert fault.startswith(told)
    assert fault.endswith(IDENTITY)


def test_seed_and_tasks_are_held_against_it_too(tmp_path: Path) -> None:
    record = cell(make_config(tmp_path), tmp_path)
    assert "seed is 7 in its record" in str(setting_fault(tmp_path, replace(record, seed=7)))
    assert "the tasks' hash is x in its record" in str(
        setting_fault(tmp_path, replace(record, data_hash="x"))
    )


def test_what_was_hashed_must_give_the_hash(tmp_path: Path) -> None:
    record = cell(make_config(tmp_path), tmp_path)
    told = json.loads((tmp_path / IDENTITY).read_text())
    told["counted"]["data_budget.instances_per_task"] = 800
    (tmp_path / IDENTITY).write_text(json.dumps(told))
    assert "is not the hash of what identity.json says" in str(setting_fault(tmp_path, record))
    told["counted"] |= {"tested": [5], "instruction": None, "data": "d"}
    told["identity"] = digest(told["counted"])
    (tmp_path / IDENTITY).write_text(json.dumps(told))
    setting_fault(
        tmp_path, replace(record, identity=told["identity"])
    )  # nothing is raised, whatever it holds
    (tmp_path / IDENTITY).write_text("[")
    assert setting_fault(tmp_path, record) == "its identity.json cannot be read"


def test_of_a_cell_that_was_run_here_the_file_must_be_there(tmp_path: Path) -> None:
    """Before: whoever took the file away got a setting past the check."""
    record = cell(make_config(tmp_path), tmp_path)
    (tmp_path / IDENTITY).unlink()
    assert "it has no identity.json" in str(setting_fault(tmp_path, record))


def test_of_imported_predictions_nothing_was_hashed_and_nothing_is_said(tmp_path: Path) -> None:
    record = cell(make_config(tmp_path), tmp_path)
    (tmp_path / IDENTITY).unlink()
    assert setting_fault(tmp_path, replace(record, setting=record.setting.changed(method=IMPORTED))) is None
