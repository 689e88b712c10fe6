from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from instruct_ablate.cell.after.rescore import rescore_cell
from instruct_ablate.cell.run import reuse
from instruct_ablate.cell.run.evaluation import write_rows
from instruct_ablate.cell.run.job import Job, Outcome
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.run.settings import check_names
from instruct_ablate.cell.state import former
from instruct_ablate.cell.state.former import UNKNOWN_ORDER, as_stored, in_another_order
from instruct_ablate.cell.state.identity import Data, digest, identify
from instruct_ablate.cell.state.record.instance_scores import checksum
from instruct_ablate.cell.state.record.predictions import make_row, read_predictions
from instruct_ablate.cell.state.record.record import SCORING, CellRecord
from instruct_ablate.cell.state.store import read_record, write_record
from instruct_ablate.errors import UserError
from instruct_ablate.grid.declaration import declare
from instruct_ablate.grid.study import read_study
from instruct_ablate.metrics import score_all
from instruct_ablate.prompt.prompt import Likelihood, Prediction, Prompt
from instruct_ablate.schema import BudgetConfig, Config, TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from tests.standins import make_config, replace_inputs, work


@pytest.fixture(autouse=True)
def _inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)


def answering(job: Job) -> Outcome:
    """The stand-in's work, with real predictions of the tasks' instances."""
    test = read_tasks(job.config.tasks, Path(job.config.cache)).test
    prompts = [
        Prompt(
            task.name,
            task.category,
            task.kind,
            one.id,
            one.input,
            one.references,
            one.references[0],
            task.label_space,
        )
        for task in test
        for one in task.instances
    ]
    predictions = [
        Prediction(prompt, prompt.references[0] if i % 2 else "odd") for i, prompt in enumerate(prompts)
    ]
    rows = [make_row(one, score) for one, score in zip(predictions, score_all(predictions), strict=True)]
    return replace(work(job), blocks=(write_rows(job, "original", rows),))


def likely(job: Job) -> Outcome:
    """The same, with what a model held of the references."""
    (block,) = answering(job).blocks
    rows = [
        replace(row, likelihoods=(Likelihood(-4.0, 2, 8),) * len(row.references))
        for row in read_predictions(job.folder / block.predictions)
    ]
    return replace(work(job), blocks=(write_rows(job, "original", rows),))


def never(job: Job) -> Outcome:
    raise AssertionError("it was computed again")


def config_of(folder: Path, study: str, budget: int = 0, **changes: object) -> Config:
    tasks = TasksConfig("starter", test_tasks=2, test_instances=3)
    return make_config(folder, study=study, tasks=tasks, data_budget=BudgetConfig(budget), **changes)


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
    source = folder_of(config_of(tmp_path, "one"))
    for name in ("predictions/original.jsonl", "identity.json"):
        assert (folder / name).read_text() == (source / name).read_text()
    assert "study: two" in (folder / "config.yaml").read_text()
    original = read_record(source)
    assert original is not None
    assert replace(record, notes=original.notes) == original


def test_a_trained_cell_is_computed_in_each_study_unless_asked_otherwise(tmp_path: Path) -> None:
    run_cell(config_of(tmp_path, "one", 8), answering)
    assert "taken over" not in str(run_cell(config_of(tmp_path, "two", 8), answering).notes)
    taken = run_cell(config_of(tmp_path, "three", 8, reuse="all"), never)
    assert "taken over from study" in taken.notes[-1]


def test_of_many_studies_that_have_the_cell_the_first_by_name_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"study{number:02}" for number in range(12)]
    first, *rest = names
    run_cell(config_of(tmp_path, first), answering)
    source = folder_of(config_of(tmp_path, first))
    for name in reversed(rest):
        shutil.copytree(source, tmp_path / name / source.name)
    (source / "predictions" / "original.jsonl").write_text("{}\n")
    taken = run_cell(config_of(tmp_path, "a_new_one"), never)
    assert f"taken over from study {names[1]}, which had done the same cell" in taken.notes
    assert f"the cell of study {first} is not taken over" in caplog.text


def test_however_many_studies_there_are_each_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: with more than 32 of them each cell read all of them anew."""
    studies = [tmp_path / f"study{number:02}" for number in range(40)]
    for study in studies:
        (study / "cell").mkdir(parents=True)
        (study / "cell" / "identity.json").write_text("{}")
    read: list[Path] = []
    monkeypatch.setattr(former, "hashed_of", read.append)
    of_a_list = config_of(tmp_path, "a_new_one")
    of_a_list = replace(of_a_list, tasks=replace(of_a_list.tasks, include=["starter0*", "starter1*"]))
    for _ in range(2):
        found = [list(in_another_order(study, identify(of_a_list), [])) for study in studies]
        assert found == [[]] * 40
    assert read == [study / "cell" / "identity.json" for study in studies]


def test_nothing_is_taken_over_where_it_is_not_wanted(tmp_path: Path) -> None:
    run_cell(config_of(tmp_path, "one"), answering)
    assert run_cell(config_of(tmp_path, "two", reuse="none"), answering).notes == ("a note",)


def test_another_cell_is_not_taken_over(tmp_path: Path) -> None:
    run_cell(config_of(tmp_path, "one"), answering)
    other = config_of(tmp_path, "two")
    other.evaluation.decoding = "rank"
    assert run_cell(other, answering).notes == ("a note",)


def test_a_cell_whose_identity_was_made_from_something_else_is_not_taken_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_cell(config_of(tmp_path, "one"), answering)
    file = folder_of(config_of(tmp_path, "one")) / "identity.json"
    told = json.loads(file.read_text())
    told["counted"]["evaluation.decoding"] = "rank"
    file.write_text(json.dumps(told))
    assert run_cell(config_of(tmp_path, "two"), answering).notes == ("a note",)
    assert "its identity was made from another evaluation.decoding" in caplog.text


def test_a_list_that_needs_no_order_is_the_same_in_any(tmp_path: Path) -> None:
    """Before: a cell was computed again in the next study where its list of tasks was written in another order."""
    names = ["starter00*", "starter101*"]
    one, two = (config_of(tmp_path, study) for study in ("one", "two"))
    one.tasks.include, two.tasks.include = names, names[::-1]
    run_cell(one, answering)
    taken = run_cell(two, never)
    assert taken.notes[-1] == "taken over from study one, which had done the same cell"
    assert taken.identity == identify(two).hash != identify(one).hash
    other = config_of(tmp_path, "three")
    other.tasks.include = [*names, "starter1*"]
    assert "taken over" not in str(run_cell(other, answering).notes)


@pytest.mark.parametrize(("counted", "found"), [([], True), (["lenient_match"], True), (["another"], False)])
def test_of_earlier_cells_that_counted_metrics_those_of_now_are_looked_for(
    counted: list[str], found: bool, tmp_path: Path
) -> None:
    one, two = (config_of(tmp_path, study) for study in ("one", "two"))
    one.tasks.include, two.tasks.include = ["b", "a"], ["a", "b"]
    told = {**identify(one).counted, "evaluation.metrics": counted}
    folder = tmp_path / "one" / "cell"
    folder.mkdir(parents=True)
    (folder / "identity.json").write_text(json.dumps({"identity": digest(told), "counted": told}))
    there = list(in_another_order(tmp_path / "one", identify(two), ["lenient_match"]))
    assert [(identity.hash, where) for identity, where in there] == [(digest(told), folder)] * found


def scored_by(folder: Path, study: str, metric: str) -> Config:
    config = config_of(folder, study)
    config.evaluation.metrics = [metric]
    return config


def test_a_cell_taken_over_is_scored_by_what_this_study_asks_for(tmp_path: Path) -> None:
    run_cell(config_of(tmp_path, "one"), answering)
    (block,) = run_cell(scored_by(tmp_path, "two", "lenient_match"), never).blocks
    assert block.scores.overall.get("lenient_match") is not None
    folder = folder_of(config_of(tmp_path, "two"))
    assert all(
        row.get("lenient_match") is not None
        for row in read_predictions(folder / block.predictions)
        if row.choices
    )


def test_values_of_metrics_that_this_study_does_not_ask_for_are_not_taken_over(tmp_path: Path) -> None:
    """Of a metric in words, described nowhere in the study, `rescore` made percents."""
    run_cell(config_of(tmp_path, "one"), answering)
    run_cell(scored_by(tmp_path, "two", "lenient_match"), never)
    shutil.rmtree(tmp_path / "one")
    (block,) = run_cell(config_of(tmp_path, "three"), never).blocks
    folder = folder_of(config_of(tmp_path, "three"))
    assert block.metrics == ()
    for scores in (block.scores.overall, *read_predictions(folder / block.predictions)):
        assert scores.get("exact_match") is not None or scores.get("rougeL") is not None
        assert scores.get("lenient_match") is None
    assert not rescore_cell(folder).changed


def test_a_metric_that_raises_fails_the_cell_and_not_the_take_over_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Before: the cell had no record, and a sweep's end said "missing" of it, without the reason, however often run."""

    def raising(*given: object, **named: object) -> NoReturn:
        raise RuntimeError("boom")

    run_cell(config_of(tmp_path, "one"), answering)
    monkeypatch.setattr(reuse, "score_all", raising)
    record = run_cell(config_of(tmp_path, "two"), raising)
    assert "the cell of study one is not taken over: RuntimeError: boom" in caplog.text
    assert record.state == "failed"
    assert record.failure is not None
    assert record.failure.reason == "RuntimeError: boom"
    assert read_record(folder_of(config_of(tmp_path, "two")), record.identity) == record


def test_a_cell_that_earlier_rules_scored_is_scored_again_and_taken_over(tmp_path: Path) -> None:
    """Before: its scores were not today's, so that it was trained again."""
    ours = run_cell(config_of(tmp_path, "one", budget=2), answering)
    source = folder_of(config_of(tmp_path, "one", budget=2))
    raised_score(source)
    put(source, [{**row, "values": {**row["values"], "exact_match": 0.5}} for row in lines(source)])
    assert run_cell(config_of(tmp_path, "two", budget=2, reuse="all"), answering).notes == ("a note",)
    damaged = read_record(source)
    assert damaged is not None
    (block,) = damaged.blocks
    early = replace(block, scoring=SCORING - 1, sha256=checksum(source / block.predictions))
    write_record(source, replace(damaged, blocks=(early,)))
    taken = run_cell(config_of(tmp_path, "three", budget=2, reuse="all"), never)
    assert taken.notes[-1] == "taken over from study one, which had done the same cell"
    assert taken.blocks == ours.blocks
    put(source, [{**row, "prediction": "edited"} for row in lines(source)])
    shutil.rmtree(folder_of(config_of(tmp_path, "two", budget=2)))
    shutil.rmtree(folder_of(config_of(tmp_path, "three", budget=2)))
    again = run_cell(config_of(tmp_path, "four", budget=2, reuse="all"), answering)
    assert again.notes == ("a note",), "a file that was edited since is not taken over"


def test_what_only_the_model_tells_is_taken_over_or_computed_here(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_cell(config_of(tmp_path, "one"), answering)
    asked = scored_by(tmp_path, "two", "reference_log_likelihood")
    assert run_cell(asked, likely).notes == ("a note",)
    assert "hold no likelihoods of their references, which reference_log_likelihood reads" in caplog.text
    shutil.rmtree(tmp_path / "one")
    taken = run_cell(scored_by(tmp_path, "three", "reference_log_likelihood"), never)
    assert "taken over from study two" in taken.notes[-1]
    assert taken.blocks[0].scores.overall.get("reference_log_likelihood") == -2.0


def lines(source: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (source / FILE).read_text().splitlines()]


def put(source: Path, rows: list[dict[str, Any]]) -> None:
    (source / FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))


def change(name: str, **fields: Any) -> Callable[[Path], None]:
    """Change fields of a JSON file of the source."""

    def changed(source: Path) -> None:
        path = source / name
        tree = json.loads(path.read_text())
        path.write_text(json.dumps({**tree, **fields}))

    return changed


def renamed(predictions: str) -> Callable[[Path], None]:
    """Let the record name another file of predictions."""

    def changed(source: Path) -> None:
        tree = json.loads((source / "record.json").read_text())
        tree["blocks"][0]["predictions"] = predictions
        (source / "record.json").write_text(json.dumps(tree))

    return changed


def linked(source: Path) -> None:
    (source / FILE).rename(source.parent / "moved.jsonl")
    (source / FILE).symlink_to(source.parent / "moved.jsonl")


def folder_linked(source: Path) -> None:
    (source / "predictions").rename(source.parent / "moved")
    (source / "predictions").symlink_to(source.parent / "moved")


def raised_score(source: Path) -> None:
    tree = json.loads((source / "record.json").read_text())
    text = json.dumps(tree["blocks"][0]["scores"]["overall"])
    tree["blocks"][0]["scores"]["overall"] = json.loads(re.sub(r"50\.0", "99.0", text))
    (source / "record.json").write_text(json.dumps(tree))


def pipe(source: Path) -> None:
    (source / FILE).unlink()
    os.mkfifo(source / FILE)


FILE = "predictions/original.jsonl"
HOSTILE: dict[str, Callable[[Path], object]] = {
    "gone": lambda source: (source / FILE).unlink(),
    "a name above": renamed("../../../precious"),
    "a name from the root": renamed("/etc/hostname"),
    "another file": renamed("training.jsonl"),
    "a link": linked,
    "a linked folder": folder_linked,
    "a pipe": pipe,
    "a row too few": lambda source: put(source, lines(source)[1:]),
    "a row twice": lambda source: put(source, [*lines(source), lines(source)[0]]),
    "a row of another": lambda source: put(
        source, [{**lines(source)[0], "instance_id": "x"}, *lines(source)[1:]]
    ),
    "an easier reference": lambda source: put(
        source, [{**row, "references": [row["prediction"]]} for row in lines(source)]
    ),
    "another prediction": lambda source: put(
        source, [{**row, "prediction": "better"} for row in lines(source)]
    ),
    "expected": lambda source: put(source, [{**row, "expected": True} for row in lines(source)]),
    "another word rule": lambda source: put(
        source, [{**row, "word_rule": "unicode"} for row in lines(source)]
    ),
    "no rows": lambda source: (source / FILE).write_text("[1]\nnull\n"),
    "no text": lambda source: (source / FILE).write_bytes(b"\xff\n"),
    "deep": lambda source: (source / FILE).write_text("[" * 100_000 + "\n"),
    "cut short": lambda source: os.truncate(source / FILE, 100),
    "other scores": raised_score,
    "no identity": lambda source: (source / "identity.json").unlink(),
    "another identity": change("identity.json", counted={"seed": 7}),
    "no identity at all": change("identity.json", counted=None),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_cannot_be_verified_is_computed_here(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "multirun"
    (tmp_path / "precious").write_text("mine")
    run_cell(config_of(output, "one"), answering)
    source = folder_of(config_of(output, "one"))
    HOSTILE[kind](source)
    record = run_cell(config_of(output, "two"), answering)
    assert (record.state, record.notes) == ("done", ("a note",))
    assert (tmp_path / "precious").read_text() == "mine"
    told = [message for message in caplog.messages if "is not taken over" in message]
    assert all("\n" not in message for message in told)
    assert len(told) == 1 or "name" in kind


def test_the_cell_s_own_configuration_is_neither_read_nor_copied(tmp_path: Path) -> None:
    run_cell(config_of(tmp_path, "one"), answering)
    (folder_of(config_of(tmp_path, "one")) / "config.yaml").write_text("extensions: [/evil.py]")
    record = run_cell(config_of(tmp_path, "two"), never)
    assert "taken over" in record.notes[-1]
    assert "evil" not in (folder_of(config_of(tmp_path, "two")) / "config.yaml").read_text()


def test_a_failed_cell_is_not_taken_over(tmp_path: Path) -> None:
    def breaks(job: Job) -> Outcome:
        raise ValueError("no")

    run_cell(config_of(tmp_path, "one"), breaks)
    assert run_cell(config_of(tmp_path, "two"), answering).state == "done"


@pytest.mark.parametrize("key", ["reuse", "retry"])
def test_a_value_that_there_is_not_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(UserError, match=rf"{key}.*everything"):
        check_names(config_of(tmp_path, "one", **{key: "everything"}))


def in_order(monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    monkeypatch.setattr("instruct_ablate.cell.state.identity._data", lambda config: Data("data", order))


def of_before(config: Config) -> Path:
    """Make a finished cell one of an earlier version, which noted no order."""
    folder = config_folder(config)
    told = json.loads((folder / "identity.json").read_text())
    assert told.pop("tasks.order") == "usual"
    (folder / "identity.json").write_text(json.dumps(told))
    return folder


def config_folder(config: Config) -> Path:
    return Path(config.output) / config.study / identify(config).name


@pytest.mark.parametrize("order", ["usual", "0f1e2d"])
def test_a_trained_cell_of_unknown_order_is_taken_over_and_marked(
    order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = config_of(tmp_path, "one", 8)
    run_cell(first, answering)
    of_before(first)
    in_order(monkeypatch, order)
    asked = config_of(tmp_path, "two", 8, reuse="all")
    taken, now = run_cell(asked, never), identify(asked)
    assert (taken.identity, taken.setting, taken.name) == (now.hash, now.setting, now.name)
    assert UNKNOWN_ORDER in taken.notes
    assert run_cell(asked, never) == taken
    (cell,) = read_study(tmp_path / "two").cells
    assert cell.notes.count(UNKNOWN_ORDER) == 1
    third = config_of(tmp_path, "three", 8, reuse="all")
    shutil.rmtree(tmp_path / "one")
    assert UNKNOWN_ORDER in run_cell(third, never).notes, "a copy of a copy says it too"


def test_what_a_study_has_taken_for_one_order_is_no_other_in_another_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: a cell that its study had declared with another order was taken over as one of a sorted list."""
    first = config_of(tmp_path, "one", 8)
    run_cell(first, answering)
    of_before(first)
    in_order(monkeypatch, "0f1e2d")
    declare(tmp_path / "one", [as_stored(tmp_path / "one", identify(first))], first)
    for number, order in enumerate(("usual", "a9b8c7")):
        in_order(monkeypatch, order)
        own = run_cell(config_of(tmp_path, f"other{number}", 8, reuse="all"), answering)
        assert "taken over" not in str(own.notes)
        shutil.rmtree(tmp_path / f"other{number}")
    in_order(monkeypatch, "0f1e2d")
    assert UNKNOWN_ORDER in run_cell(config_of(tmp_path, "same", 8, reuse="all"), never).notes


@pytest.mark.parametrize("orders", [("0f1e2d", "usual"), ("0f1e2d", "a9b8c7"), ("usual", "0f1e2d")])
def test_a_study_takes_a_cell_of_unknown_order_for_one_order_alone(
    orders: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: one cell of another study became two of this one, in two orders, with the same numbers."""
    first = config_of(tmp_path, "one", 8)
    run_cell(first, answering)
    of_before(first)
    asked = config_of(tmp_path, "two", 8, reuse="all")
    in_order(monkeypatch, orders[0])
    assert UNKNOWN_ORDER in run_cell(asked, never).notes
    in_order(monkeypatch, orders[1])
    own = run_cell(asked, answering)
    copies = [cell for cell in read_study(tmp_path / "two").cells if "taken over" in str(cell.notes)]
    assert len(copies) == 1
    assert own.name == copies[0].name or own.notes == ("a note",)


def test_a_cell_whose_identity_cannot_be_read_is_not_said_to_be_of_another_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_cell(config_of(tmp_path, "one", 8), answering)
    (config_folder(config_of(tmp_path, "one", 8)) / "identity.json").write_text("{")
    assert run_cell(config_of(tmp_path, "two", 8, reuse="all"), answering).notes == ("a note",)
    assert "its identity.json cannot be read" in caplog.text


def test_a_cell_of_known_order_is_taken_over_for_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_cell(config_of(tmp_path, "one", 8), answering)
    in_order(monkeypatch, "0f1e2d")
    assert run_cell(config_of(tmp_path, "two", 8, reuse="all"), answering).notes == ("a note",)


def test_a_cell_whose_identity_counted_its_metrics_is_taken_over(tmp_path: Path) -> None:
    first = scored_by(tmp_path, "one", "lenient_match")
    run_cell(first, answering)
    folder, now = config_folder(first), identify(first)
    counted = {**now.counted, "evaluation.metrics": ["lenient_match"]}
    former = replace(now, hash=digest(counted), counted=counted)
    record = read_record(folder)
    assert record is not None
    renamed = folder.with_name(f"{folder.name[:-8]}{former.hash[:8]}")
    folder.rename(renamed)
    (renamed / "identity.json").write_text(former.to_json())
    write_record(renamed, replace(record, identity=former.hash, name=renamed.name))
    taken = run_cell(scored_by(tmp_path, "two", "lenient_match"), never)
    assert taken.identity == now.hash
    assert UNKNOWN_ORDER not in taken.notes
