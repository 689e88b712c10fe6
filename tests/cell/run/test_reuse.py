from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.run.job import Job, Outcome
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record import CellRecord
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.errors import UserError
from instruct_ablate.grid.preflight import _sweep
from instruct_ablate.schema import BudgetConfig, Config
from tests.standins import make_config, replace_inputs, work

ANSWER = '{"prediction": "yes"}\n'


@pytest.fixture(autouse=True)
def _inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)


def answering(job: Job) -> Outcome:
    """The stand-in's work, with a file of predictions."""
    (job.folder / "predictions").mkdir(exist_ok=True)
    (job.folder / "predictions" / "original.jsonl").write_text(ANSWER)
    return work(job)


def never(job: Job) -> Outcome:
    raise AssertionError("it was computed again")


def config_of(folder: Path, study: str, budget: int = 0, **changes: object) -> Config:
    return make_config(folder, study=study, data_budget=BudgetConfig(budget), **changes)


def folder_of(config: Config) -> Path:
    return Path(config.output) / config.study / identify(config).name


def second(folder: Path, **changes: object) -> CellRecord:
    """Run the untuned cell in one study, then in another one, where it must not be computed."""
    run_cell(config_of(folder, "one"), answering)
    return run_cell(config_of(folder, "two", **changes), never)


def test_the_untuned_model_of_another_study_is_taken_over(tmp_path: Path) -> None:
    record = second(tmp_path)
    folder = folder_of(config_of(tmp_path, "two"))
    assert record.state == "done"
    assert record.notes[-1] == "taken over from study one, which had done the same cell"
    assert read_record(folder, record.identity) == record
    assert (folder / "predictions" / "original.jsonl").read_text() == ANSWER
    original = read_record(folder_of(config_of(tmp_path, "one")))
    assert original is not None
    assert replace(record, notes=original.notes) == original


def test_a_trained_cell_is_computed_in_each_study_unless_asked_otherwise(tmp_path: Path) -> None:
    run_cell(config_of(tmp_path, "one", 8), answering)
    assert "taken over" not in str(run_cell(config_of(tmp_path, "two", 8), answering).notes)
    taken = run_cell(config_of(tmp_path, "three", 8, reuse="all"), never)
    assert "taken over from study" in taken.notes[-1]


def test_nothing_is_taken_over_where_it_is_not_wanted(tmp_path: Path) -> None:
    run_cell(config_of(tmp_path, "one"), answering)
    assert run_cell(config_of(tmp_path, "two", reuse="none"), answering).notes == ("a note",)


def test_another_cell_is_not_taken_over(tmp_path: Path) -> None:
    run_cell(config_of(tmp_path, "one"), answering)
    other = config_of(tmp_path, "two")
    other.evaluation.decoding = "rank"
    assert run_cell(other, answering).notes == ("a note",)


def test_a_cell_whose_predictions_are_gone_is_computed(tmp_path: Path) -> None:
    run_cell(config_of(tmp_path, "one"), answering)
    (folder_of(config_of(tmp_path, "one")) / "predictions" / "original.jsonl").unlink()
    assert run_cell(config_of(tmp_path, "two"), answering).notes == ("a note",)


def test_a_failed_cell_is_not_taken_over(tmp_path: Path) -> None:
    def breaks(job: Job) -> Outcome:
        raise ValueError("no")

    run_cell(config_of(tmp_path, "one"), breaks)
    assert run_cell(config_of(tmp_path, "two"), answering).state == "done"


@pytest.mark.parametrize("key", ["reuse", "retry"])
def test_a_value_that_there_is_not_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(UserError, match=rf"{key}.*everything"):
        _sweep(config_of(tmp_path, "one", **{key: "everything"}))
