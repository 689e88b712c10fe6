"""Cells of the version whose identity counted `evaluation.metrics`: taken as done, whatever they are scored by now."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from instruct_ablate.cell.after.rescore import is_behind, rescore_cell
from instruct_ablate.cell.run.evaluation import selected
from instruct_ablate.cell.run.job import Job, Outcome
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.former import _is_done, as_stored
from instruct_ablate.cell.state.identity import digest, identify
from instruct_ablate.cell.state.store import read_record, write_record
from instruct_ablate.extensions import _forget
from instruct_ablate.grid.study import read_study
from instruct_ablate.schema import Config
from tests.goldens import cases

STUDY = cases.HERE / "old_metrics"
CELLS = sorted(path.parent for path in STUDY.glob("*/record.json"))
each_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda path: path.name)
NOW = """from instruct_ablate.metrics import metric
@metric("first_word")
def first_word(prediction, references):
    return float(any(prediction.split()[:1] == one.split()[:1] for one in references))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The study as the earlier version left it, and the metric as it is written now."""
    shutil.copytree(STUDY, tmp_path / "multirun" / "old_metrics")
    (tmp_path / "first_words.py").write_text(NOW)
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "multirun" / "old_metrics"
    _forget("first_words")
    sys.modules.pop("first_words", None)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


def configuration(cell: Path, metrics: list[str], cache: str, output: Path = Path("multirun")) -> Config:
    read = OmegaConf.to_object(
        OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.load(cell / "config.yaml"))
    )
    assert isinstance(read, Config)
    return replace(
        read, cache=cache, output=str(output), evaluation=replace(read.evaluation, metrics=metrics)
    )


def must_not_work(job: Job) -> Outcome:
    raise AssertionError(f"{job.identity.name} was done already and is computed again")


@each_cell
def test_the_former_hash_is_that_of_what_was_hashed_then(cell: Path) -> None:
    told = json.loads((cell / "identity.json").read_text())
    assert told["counted"]["evaluation.metrics"] == ["my_metrics.first_word"]
    assert digest(told["counted"]) == told["identity"]
    assert cell.name.endswith(told["identity"][:8])


@each_cell
@pytest.mark.parametrize("metrics", [[], ["first_words.first_word"]], ids=["none now", "one now"])
def test_a_finished_cell_is_taken_as_done(cell: Path, metrics: list[str], folder: Path, cache: str) -> None:
    config = configuration(cell, metrics, cache)
    now, before = identify(config), read_record(cell)
    assert before is not None
    assert now.hash != before.identity
    stored = as_stored(folder, now)
    assert (stored.hash, stored.name) == (before.identity, cell.name)
    assert json.loads(stored.to_json()) == json.loads((cell / "identity.json").read_text())
    assert run_cell(config, must_not_work) == before
    assert sorted(path.name for path in folder.glob("*/")) == [one.name for one in CELLS]


def test_it_is_scored_by_the_metric_of_now_from_its_predictions(folder: Path, cache: str) -> None:
    cell = folder / CELLS[0].name
    metrics = selected(configuration(cell, ["first_words.first_word"], cache))
    before = read_record(cell)
    assert before is not None
    assert is_behind(before, metrics)
    assert rescore_cell(cell, metrics).left == ""
    after = read_record(cell)
    assert after is not None
    assert not is_behind(after, metrics)
    assert [block.scores.overall.get("first_word") for block in after.blocks] == pytest.approx(
        [block.scores.overall.get("first_word") for block in before.blocks]
    )


@each_cell
def test_its_row_is_that_of_a_cell_of_now(cell: Path, folder: Path, cache: str) -> None:
    now = identify(configuration(cell, [], cache))
    assert now.setting in [record.setting for record in read_study(folder).cells]


def test_one_that_is_finished_under_the_hash_of_now_goes_first(folder: Path, cache: str) -> None:
    now = identify(configuration(CELLS[0], [], cache))
    record = read_record(CELLS[0])
    assert record is not None
    (folder / now.name).mkdir()
    assert as_stored(folder, now).hash != now.hash  # a folder alone is nothing finished
    write_record(folder / now.name, replace(record, identity=now.hash, name=now.name))
    assert as_stored(folder, now) == now


@pytest.mark.parametrize("damage", ["another value", "no JSON", "[]"])
def test_what_was_not_hashed_so_is_no_former_cell(damage: str, folder: Path, cache: str) -> None:
    now, path = identify(configuration(CELLS[0], [], cache)), folder / CELLS[0].name / "identity.json"
    text = path.read_text()
    path.write_text(text.replace('"seed": 0', '"seed": 1') if damage == "another value" else damage)
    assert as_stored(folder, now) == now


def test_only_a_record_that_says_done_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    for record, done in ((None, False), ("failed", False), ("done", True)):
        found = None if record is None else SimpleNamespace(state=record)
        monkeypatch.setattr(
            "instruct_ablate.cell.state.former.read_record", lambda folder, found=found: found
        )
        assert _is_done(Path("cell")) is done
