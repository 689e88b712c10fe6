"""A study of an earlier day, read, reported, rescored and gone on with today."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from instruct_ablate.cell.after.rescore import rescore_study
from instruct_ablate.cell.run.job import Job, Outcome
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.store import quarantine, read_record
from instruct_ablate.grid.study import read_study
from instruct_ablate.report.report import write_report
from instruct_ablate.schema import Config
from tests.goldens import cases, expected

STUDY = cases.HERE / "old_study"
CELLS = sorted(path.parent for path in STUDY.glob("*/record.json"))
each_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda path: path.name)


def golden(name: str) -> str:
    return (cases.HERE / name).read_text(encoding="utf-8")


def configuration(cell: Path, **changes: Any) -> Config:
    """What the cell was asked for, with today's defaults for keys that did not exist then."""
    read = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.load(cell / "config.yaml"))
    config = OmegaConf.to_object(read)
    assert isinstance(config, Config)
    return replace(config, **changes)


def must_not_work(job: Job) -> Outcome:
    raise AssertionError(f"{job.identity.name} was done already and is computed again")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(STUDY, tmp_path / "multirun" / "old_study")
    return tmp_path / "multirun" / "old_study"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


def test_every_cell_is_read() -> None:
    study = read_study(STUDY)
    assert sorted(cell.name for cell in study.cells) == [path.name for path in CELLS]
    assert len(CELLS) == 7
    assert {cell.state for cell in study.cells} == {"done"}
    assert (study.name, study.reference, len(study.commands)) == ("old_study", "original", 2)
    assert study.hypotheses == ("simplified equals original on exact_match within 5",)
    assert sorted(cell.seed for cell in study.cells if not cell.setting.untuned) == [0, 0, 1, 1]


@pytest.mark.parametrize("name", ["expected_main.csv", "expected_differences.csv", "expected_scores.json"])
def test_the_report_says_the_same_to_the_digit(name: str) -> None:
    assert expected.report_texts(STUDY)[name] == golden(name)


def test_the_written_report_says_the_same(tmp_path: Path) -> None:
    report = write_report(STUDY, tmp_path / "report")
    assert (report.folder / "main.csv").read_text("utf-8") == golden("expected_main.csv")
    assert (report.folder / "differences.csv").read_text("utf-8") == golden("expected_differences.csv")
    assert [verdict.answer for verdict in report.verdicts] == [
        "uninformative"
    ]  # at the guess, of 12 instances


@each_cell
def test_identities_are_found_again(cell: Path, cache: str) -> None:
    written = json.loads((cell / "identity.json").read_text("utf-8"))
    again = identify(configuration(cell, cache=cache))
    assert cases.digest(written["counted"]) == written["identity"] == again.hash
    told = json.loads(again.to_json())
    assert (
        told.pop("tasks.order", "usual") == "usual"
    )  # beside what is hashed; of trained cells, since it counts
    assert told == written
    record = read_record(cell, again.hash)
    assert record is not None
    assert (record.name, record.setting, record.seed) == (again.name, again.setting, again.seed)
    assert record.data_hash == again.data_hash
    assert cell.name == again.name


@each_cell
def test_a_done_cell_stays_done(cell: Path, copied: Path, cache: str) -> None:
    config = configuration(cell, cache=cache, output=str(copied.parent))
    assert run_cell(config, must_not_work) == read_record(cell)
    assert (copied / cell.name / "record.json").read_bytes() == (cell / "record.json").read_bytes()
    assert not list((copied / cell.name).glob("record.corrupt-*"))


@each_cell
def test_another_study_takes_a_done_cell_over(cell: Path, copied: Path, cache: str) -> None:
    config = configuration(cell, cache=cache, output=str(copied.parent), study="new", reuse="all")
    taken, before = run_cell(config, must_not_work), read_record(cell)
    assert before is not None
    assert (taken.identity, taken.blocks, taken.cost) == (before.identity, before.blocks, before.cost)
    assert taken.notes[-1] == "taken over from study old_study, which had done the same cell"


def test_predictions_score_the_same_again(copied: Path) -> None:
    again = rescore_study(copied)
    assert [(one.name, one.left, one.changed) for one in again] == [(path.name, "", False) for path in CELLS]
    assert expected.report_texts(copied)["expected_scores.json"] == golden("expected_scores.json")


def changed(cell: Path, **changes: Any) -> str:
    return json.dumps({**json.loads((cell / "record.json").read_text("utf-8")), **changes})


@pytest.mark.parametrize("why", ["truncated", "a further key"])
def test_a_record_that_cannot_be_read_is_unreadable_and_put_aside(why: str, copied: Path) -> None:
    cell = copied / CELLS[0].name
    before = read_record(cell)
    assert before is not None
    texts = {
        "truncated": changed(cell)[:-100],
        "a further key": changed(cell, weather="fine"),
    }
    (cell / "record.json").write_text(texts[why], encoding="utf-8")
    assert read_record(cell) is None
    assert {one.name: one.state for one in read_study(copied).cells}[cell.name] == "unreadable"
    aside = quarantine(cell, before.identity)
    assert aside is not None
    assert aside.name == "record.corrupt-1.json"
    assert aside.read_text(encoding="utf-8") == texts[why]


def test_a_record_of_another_format_is_told_and_left_alone(copied: Path, cache: str) -> None:
    cell = copied / CELLS[0].name
    before = read_record(cell)
    assert before is not None
    (cell / "record.json").write_text(text := changed(cell, format=99), encoding="utf-8")
    (found,) = [one for one in read_study(copied).cells if one.name == cell.name]
    assert found.state == "other format"
    assert set(found.setting.values) <= set(before.setting.values)  # as the declaration has it
    assert "format 99 by a newer version" in found.notes[0]
    assert quarantine(cell, before.identity) is None
    assert (
        run_cell(configuration(cell, cache=cache, output=str(copied.parent)), must_not_work).state
        == "other format"
    )
    assert (cell / "record.json").read_text(encoding="utf-8") == text


def test_a_record_of_format_1_without_later_keys_is_read(copied: Path) -> None:
    # What version 2 adds must have a default, or be filled in where version 1 is read.
    cell = copied / CELLS[0].name
    told = json.loads((cell / "record.json").read_text("utf-8"))
    assert list(told) == [
        "identity", "name", "axes", "state", "blocks", "cost", "environment", "failure", "notes", "data_hash",
        "started", "finished", "format",
    ]  # fmt: skip
    assert told["format"] == 1
    del told["notes"], told["data_hash"], told["format"]
    (cell / "record.json").write_text(json.dumps(told), encoding="utf-8")
    record = read_record(cell)
    assert record is not None
    assert (record.state, record.notes, record.version) == ("done", (), 1)


def test_the_goldens_are_small_and_name_no_machine() -> None:
    files = [path for path in (*STUDY.rglob("*"), *cases.HERE.glob("expected_*")) if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 400_000
    records = [json.loads((cell / "record.json").read_text("utf-8"))["environment"] for cell in CELLS]
    assert {told["host"] for told in records} == {"host"}
    assert all(told["command"].startswith("train.py -m ") for told in records)
