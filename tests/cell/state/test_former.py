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
from instruct_ablate.cell.state.former import UNKNOWN_ORDER, _is_done, as_stored, is_of_unknown_order
from instruct_ablate.cell.state.identity import Data, digest, identify
from instruct_ablate.cell.state.store import read_record, write_record
from instruct_ablate.configuration.extensions import _forget
from instruct_ablate.errors import UserError
from instruct_ablate.grid.declaration import declare
from instruct_ablate.grid.study import read_study
from instruct_ablate.report.documents.provenance import cell_table
from instruct_ablate.report.tables.tables import markdown
from instruct_ablate.schema import BudgetConfig, Config
from tests.goldens import cases
from tests.standins import make_config, replace_inputs, work

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


def in_order(monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    monkeypatch.setattr("instruct_ablate.cell.state.identity._data", lambda config: Data("data", order))


@pytest.fixture
def unordered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A study with a finished cell of which no order is known, as an earlier version has left it."""
    replace_inputs(monkeypatch)
    config = make_config(tmp_path)
    path = tmp_path / config.study / run_cell(config, work).name / "identity.json"
    told = json.loads(path.read_text())
    assert told.pop("tasks.order") == "usual"
    path.write_text(json.dumps(told))
    return config


def study_of(config: Config) -> Path:
    return Path(config.output) / config.study


@pytest.mark.parametrize("order", ["usual", "0f1e2d"])
def test_a_cell_of_unknown_order_is_that_of_the_tasks_as_they_are(
    order: str, unordered: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = read_study(study_of(unordered)).cells
    in_order(monkeypatch, order)
    now = identify(unordered)
    assert (now.hash == before[0].identity) is (order == "usual")
    done = run_cell(unordered, must_not_work)
    assert replace(done, notes=(*done.notes, UNKNOWN_ORDER)) == before[0], (
        "which is marked wherever it is shown"
    )
    assert read_study(study_of(unordered)).cells == before
    assert ("did not note in which order" in caplog.text) is (order != "usual")


def test_one_of_known_order_is_no_other_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)
    config, found = make_config(tmp_path), {}
    for order in ("usual", "0f1e2d", "a9b8c7"):
        in_order(monkeypatch, order)
        found[order] = run_cell(config, work).identity
        assert as_stored(study_of(config), identify(config)) == identify(config)
    assert len({*found.values()}) == len(read_study(study_of(config)).cells) == 3


def listing(config: Config, *names: str) -> Config:
    return replace(config, tasks=replace(config.tasks, include=list(names)))


def test_nor_is_one_with_lists_that_could_stand_in_another_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose tasks were read in the usual order: it passed for the cell of whatever order was asked for then."""
    replace_inputs(monkeypatch)
    config, found = make_config(tmp_path), {}
    for order in ("usual", "0f1e2d"):
        in_order(monkeypatch, order)
        found[order] = run_cell(listing(config, "a", "b"), work).identity
        assert run_cell(listing(config, "b", "a"), must_not_work).identity == found[order]
    assert len({*found.values()}) == 2


@pytest.mark.parametrize("taken", [False, True])
def test_one_of_unknown_order_is_taken_once_however_its_lists_are_written(
    taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_inputs(monkeypatch)
    config = make_config(tmp_path)
    study, asked = study_of(config), listing(config, "b", "a")
    path = study / run_cell(listing(config, "a", "b"), work).name / "identity.json"
    told = json.loads(path.read_text())
    del told["tasks.order"]
    path.write_text(json.dumps(told))
    in_order(monkeypatch, "0f1e2d")
    if taken:
        declare(study, [as_stored(study, identify(asked))], asked)
    in_order(monkeypatch, "usual")
    assert (as_stored(study, identify(asked)).name == path.parent.name) is not taken


def test_a_cell_of_unknown_order_is_taken_for_one_order_alone(
    unordered: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep that takes it declares it, and its row is that of the cells that are trained in that order now."""
    study = study_of(unordered)
    in_order(monkeypatch, "0f1e2d")
    now = identify(unordered)
    declare(study, [as_stored(study, now)], unordered)
    assert [cell.setting for cell in read_study(study).cells] == [now.setting]
    assert as_stored(study, now).hash != now.hash
    in_order(monkeypatch, "a9b8c7")
    other = identify(unordered)
    assert as_stored(study, other) == other
    in_order(monkeypatch, "usual")
    with pytest.raises(
        UserError, match="has taken it for another order \\(0f1e2d\\) than that of the tasks now"
    ):
        as_stored(study, identify(unordered))


def test_one_that_an_earlier_version_began_goes_on_without_an_order(
    unordered: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = next(study_of(unordered).glob("*/identity.json")).parent
    record = read_record(folder)
    assert record is not None
    write_record(folder, replace(record, state="interrupted", blocks=()))
    in_order(monkeypatch, "0f1e2d")
    again = run_cell(unordered, work)
    assert (again.name, again.state) == (folder.name, "done")
    assert "tasks.order" not in json.loads((folder / "identity.json").read_text())


def test_what_was_not_trained_has_no_order(unordered: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(unordered, data_budget=BudgetConfig(0))
    before = run_cell(config, work)
    in_order(monkeypatch, "0f1e2d")
    assert run_cell(config, must_not_work) == before


def test_a_mark_for_cells_of_unknown_order_and_for_no_others(unordered: Config) -> None:
    """Asked for with a sorted list such a cell keeps its hash, and stood in reports like one of known order."""
    study = study_of(unordered)
    run_cell(replace(unordered, seed=1), work)
    run_cell(replace(unordered, data_budget=BudgetConfig(0)), work)
    cells = read_study(study).cells
    marked = [cell.name for cell in cells if UNKNOWN_ORDER in cell.notes]
    assert marked == [cell.name for cell in cells if is_of_unknown_order(study / cell.name)]
    assert len(marked) == 1
    assert f"{UNKNOWN_ORDER} " in markdown(cell_table(cells)) + " "
    (study / marked[0] / "identity.json").write_text("[]")
    assert not any(UNKNOWN_ORDER in cell.notes for cell in read_study(study).cells)
