from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.after.import_predictions import Matching, Source, import_predictions, write_imported
from instruct_ablate.cell.state.record.predictions import read_predictions
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.errors import UserError
from instruct_ablate.grid.study import read_study
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.report.tables.differences import differences
from instruct_ablate.tasks.task import Instance, Task, TaskCollection
from tests.conftest import make_task
from tests.left_out import left_out

COLLECTION = TaskCollection("small", (), (make_task(), make_task("task2_other", 2)), "hash")


def rows() -> list[dict[str, Any]]:
    return [
        {"task": task.name, "instance_id": one.id, "prediction": one.references[0] if place else "neutral"}
        for task in COLLECTION.test
        for place, one in enumerate(task.instances)
    ]


def write(tmp_path: Path, given: list[dict[str, Any]]) -> Path:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in given))
    return path


def test_predictions_are_matched_and_scored(tmp_path: Path) -> None:
    imported = import_predictions(write(tmp_path, rows()[::-1]), COLLECTION)
    assert [row.instance_id for row in imported.rows] == [row["instance_id"] for row in rows()]
    assert imported.scores.overall.get("exact_match") == pytest.approx(75)
    assert imported.scores.overall.get("format_correctness") == pytest.approx(75)
    assert imported.scores.overall.get("uniform_guess") == 50
    assert imported.notes == (
        "8 of 8 test instances have an imported prediction",
        "2 of 8 answers to classification tasks lie outside the label space (25%)",
    )


def test_a_file_without_task_names_is_matched_by_id(tmp_path: Path) -> None:
    given = [{"id": row["instance_id"], "output": row["prediction"]} for row in rows()]
    assert len(import_predictions(write(tmp_path, given), COLLECTION).rows) == 8


def test_missing_and_unknown_instances_are_named(tmp_path: Path) -> None:
    given = rows()[1:]
    given[0] |= {"task": "task1_sentimnt"}
    with pytest.raises(UserError) as caught:
        import_predictions(write(tmp_path, given), COLLECTION)
    message = str(caught.value)
    assert "1 instance that small does not have: task1_sentimnt task1_sentiment-1" in message
    assert "did you mean 'task1_sentiment'" in message
    assert "2 instances without a prediction: task1_sentiment task1_sentiment-0" in message
    assert "--partial" in message


def test_partial_takes_what_matches_and_says_so(tmp_path: Path) -> None:
    given = [*rows()[2:], {"task": "elsewhere", "instance_id": "1", "prediction": "x"}]
    imported = import_predictions(write(tmp_path, given), COLLECTION, Matching(partial=True))
    assert len(imported.rows) == 6
    assert "2 instances of 1 task are missing: task1_sentiment" in imported.notes
    assert "1 prediction of unknown instances was dropped" in imported.notes
    with pytest.raises(UserError, match="does not have"):
        import_predictions(write(tmp_path, given[-1:]), COLLECTION, Matching(partial=True))


def test_a_null_prediction_is_a_missing_answer(tmp_path: Path) -> None:
    given = [row | {"output": "gold"} for row in rows()]
    given[0]["prediction"] = None
    with pytest.raises(UserError, match="1 instance without a prediction: task1_sentiment task1_sentiment-0"):
        import_predictions(write(tmp_path, given), COLLECTION)
    imported = import_predictions(write(tmp_path, given), COLLECTION, Matching(partial=True))
    assert len(imported.rows) == 7
    assert imported.notes[-1] == "1 prediction is null: no answers"


@pytest.mark.parametrize("partial", [False, True])
def test_double_instances_are_named(tmp_path: Path, partial: bool) -> None:
    with pytest.raises(UserError, match=r"8 instances more than once: task1_sentiment .* and 3 more"):
        import_predictions(write(tmp_path, rows() * 2), COLLECTION, Matching(partial))


def test_the_cell_lies_in_the_study_as_a_run_one_would(tmp_path: Path) -> None:
    imported = import_predictions(write(tmp_path, rows()), COLLECTION)
    source = Source("some/model 7B", instruction="simplified+no_examples")
    record = write_imported(imported, source, COLLECTION, tmp_path / "study")
    folder = tmp_path / "study" / record.name
    assert folder.name.startswith("some_model_7B-imported-simplified+no_examples-")
    assert read_record(folder) == record
    assert (record.state, record.setting.model, record.setting.untuned) == ("done", "some/model 7B", True)
    assert read_predictions(folder / record.blocks[0].predictions) == imported.rows
    again = write_imported(imported, source, COLLECTION, tmp_path / "study")
    assert again.identity == record.identity
    assert len(list((tmp_path / "study").iterdir())) == 1


def test_other_predictions_are_another_cell(tmp_path: Path) -> None:
    imported = import_predictions(write(tmp_path, rows()), COLLECTION)
    other = replace(imported, rows=(replace(imported.rows[0], prediction="else"), *imported.rows[1:]))
    names = {write_imported(one, Source("m"), COLLECTION, tmp_path / "s").name for one in (imported, other)}
    assert len(names) == 2


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def real_task(path: Path) -> Task:
    raw = json.loads(path.read_text(encoding="utf-8"))
    given = tuple(Instance(i["id"], i["input"], tuple(as_list(i["output"]))) for i in raw["Instances"][:100])
    return Task(path.stem, "", given, categories=tuple(raw["Categories"]))


def test_another_release_brings_its_own_instances_and_references(tmp_path: Path) -> None:
    given = [row | {"instance_id": f"new-{i}", "references": ["neutral"]} for i, row in enumerate(rows())]
    path = write(tmp_path, given)
    with pytest.raises(UserError, match="--own-references"):
        import_predictions(path, COLLECTION)
    imported = import_predictions(path, COLLECTION, Matching(own_references=True))
    assert [row.references for row in imported.rows] == [("neutral",)] * 8
    assert imported.scores.overall.get("exact_match") == pytest.approx(25)
    assert imported.notes[-1] == "references are the imported file's own"
    with pytest.raises(UserError, match="2 instances without a prediction: task2_other"):
        import_predictions(write(tmp_path, given[:6]), COLLECTION, Matching(own_references=True))


def test_real_predictions_of_an_alpaca_model(shared: Path) -> None:
    """Of 11,810 predictions 6,208 carry an instance id of the release at hand, the others another's."""
    folder = shared / "natural-instructions"
    names = (folder / "splits" / "default" / "test_tasks.txt").read_text().split()
    tasks = tuple(real_task(folder / "tasks" / f"{name}.json") for name in names)
    collection = TaskCollection("real", (), tasks, "")
    file = shared / "predictions" / "alpaca_llama7b.jsonl"
    with pytest.raises(UserError, match="5,602 instances that real does not have"):
        import_predictions(file, collection)
    assert len(import_predictions(file, collection, Matching(partial=True)).rows) == 6208
    imported = import_predictions(file, collection, Matching(own_references=True))
    assert len(imported.rows) == 11_810
    assert round(imported.scores.overall.get("rougeL"), 4) == 39.3565


def test_a_task_that_the_file_leaves_out_is_missing_though_its_references_count(tmp_path: Path) -> None:
    given = [row | {"references": ["neutral"]} for row in rows() if row["task"] == "task1_sentiment"]
    imported = import_predictions(
        write(tmp_path, given), COLLECTION, Matching(partial=True, own_references=True)
    )
    assert imported.notes[:2] == (
        "6 of 8 test instances have an imported prediction",
        "2 instances of 1 task are missing: task2_other",
    )


def test_own_references_are_of_known_tasks_and_only_where_there_are_some(tmp_path: Path) -> None:
    given = [row | {"references": ["neutral"]} for row in rows()]
    given[0]["references"] = []
    given.append({"task": "elsewhere", "instance_id": "1", "prediction": "x", "references": ["y"]})
    imported = import_predictions(
        write(tmp_path, given), COLLECTION, Matching(partial=True, own_references=True)
    )
    assert len(imported.rows) == 7
    assert "2 predictions of unknown instances were dropped" in imported.notes


def test_ids_of_two_tasks_need_the_tasks_name(tmp_path: Path) -> None:
    tasks = tuple(
        make_task(name, 1, instances=(Instance("1", "x", ("positive",)),)) for name in ("task1_a", "task2_b")
    )
    collection = TaskCollection("two", (), tasks, "hash")
    path = write(tmp_path, [{"id": "1", "output": "positive"}])
    with pytest.raises(UserError, match=r"1 instance that two does not have: \(no task\) 1"):
        import_predictions(path, collection)


def test_up_to_five_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        import_predictions(write(tmp_path, rows()[:3]), COLLECTION)
    assert "5 instances without a prediction: task1_sentiment task1_sentiment-3, " in str(caught.value)
    assert "more" not in str(caught.value).partition("\n")[0]
    with pytest.raises(UserError, match=r"6 instances without a prediction: .*-4, .* and 1 more\."):
        import_predictions(write(tmp_path, rows()[:2]), COLLECTION)


def test_what_an_imported_cells_place_in_the_grid_is(tmp_path: Path) -> None:
    imported = import_predictions(write(tmp_path, rows()), COLLECTION)
    plain = write_imported(imported, Source("m"), COLLECTION, tmp_path / "s")
    setting = plain.setting
    assert (setting.get("tasks"), setting.get("instruction.num_positive"), plain.seed) == ("small", 2, 0)
    assert (setting.get("method"), setting.imported, plain.data_hash) == ("imported", True, "hash")
    assert plain.cost.evaluate_instances == 8
    assert plain.blocks[0].instruction == "original"
    assert plain.blocks[0].predictions == "predictions/original.jsonl"
    assert plain.environment is not None
    assert (plain.environment.device, plain.environment.precision) == ("none", "none")
    named = write_imported(imported, Source("m", tasks_name="shown"), COLLECTION, tmp_path / "s")
    assert named.identity == plain.identity, "how a table calls the tasks does not count"
    assert named.setting.get("tasks") == "shown"
    for source in (
        Source("m", seed=1),
        Source("m", num_positive=0),
        Source("m", data_budget=8),
        Source("m", "t"),
    ):
        assert write_imported(imported, source, COLLECTION, tmp_path / "s").identity != plain.identity


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": " "}, "--model is empty"),
        ({"model": "untuned"}, "would look like them"),
        ({"model": "as it is"}, "would look like them"),
        ({"model": "uniform_guess"}, "would look like them"),
        ({"data_budget": -1}, "--budget -1 must be at least 0"),
        ({"seed": -3}, "--seed -3 must be at least 0"),
    ],
)
def test_what_a_table_would_show_as_something_else_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Source(**{"model": "m", **given})


def test_what_was_scored_in_part_stands_beside_no_other_part(tmp_path: Path) -> None:
    """Numbers of instances agree: means over different ones were averaged and compared as if they were the same."""
    given = rows()
    halves = [[row for at, row in enumerate(given) if at % 2 == half] for half in (0, 1)]
    whole = [
        row | {"references": [one] if at else ["other"]}
        for at, row in enumerate(given)
        for one in ["neutral"]
    ]

    def content(file: list[dict[str, Any]], matching: Matching) -> str:
        imported = import_predictions(write(tmp_path, file), COLLECTION, matching)
        return write_imported(imported, Source("m"), COLLECTION, tmp_path / "s").setting.revision("tasks")

    partial, own = Matching(partial=True), Matching(own_references=True)
    assert content(given, partial) == content(given, Matching()) == "hash", "nothing is missing"
    parts = [content(half, partial) for half in halves]
    assert len({*parts, content(whole, own), "hash"}) == 4
    assert content(halves[0], partial) == parts[0]


@pytest.mark.parametrize("other_tasks", [False, True])
def test_a_table_has_no_difference_between_other_instances(tmp_path: Path, other_tasks: bool) -> None:
    given = rows()
    one = [row for row in given if row["task"] == COLLECTION.test[0].name] if other_tasks else given[::2]
    other = given if other_tasks else given[1::2]
    for file, variant, budget in ((one, "simplified", 4), (other, "original", 4), (other, "original", 0)):
        imported = import_predictions(write(tmp_path, file), COLLECTION, Matching(partial=True))
        source = Source("m", instruction=variant, data_budget=budget)
        write_imported(imported, source, COLLECTION, tmp_path / "s")
    study = read_study(tmp_path / "s")
    table = build_rows(study.cells)
    assert len(table) == 3
    assert not any(row.to_reference or row.to_untuned for row in table if row.tested == "simplified")
    assert not [one for one in differences(study.cells, "original") if one.trial.tested == "simplified"]


def test_references_of_the_files_own_make_a_cell_of_its_own(tmp_path: Path) -> None:
    """Before: it was written over the one under the collection's references."""
    given = [row | {"references": ["neutral"]} for row in rows()]
    path, own = write(tmp_path, given), Matching(own_references=True)
    cells = [
        write_imported(import_predictions(path, COLLECTION, how), Source("m"), COLLECTION, tmp_path / "s")
        for how in (Matching(), own)
    ]
    assert [cell.blocks[0].scores.overall.get("exact_match") for cell in cells] == [75.0, 25.0]
    assert {cell.identity for cell in read_study(tmp_path / "s").cells} == {cell.identity for cell in cells}
    right = [one.references for task in COLLECTION.test for one in task.instances]
    same = [row | {"references": list(one)} for row, one in zip(given, right, strict=True)]
    imported = import_predictions(write(tmp_path, same), COLLECTION, own)
    again = write_imported(imported, Source("m"), COLLECTION, tmp_path / "s")
    assert again.identity == cells[0].identity, "they are the collection's"


def test_choices_words_and_prompts_are_those_of_each_instance(tmp_path: Path) -> None:
    """Two of three references are of other letters, and the outputs are declared to be English: the rule is theirs."""
    instances = tuple(
        Instance(f"{n}/x", "in", (text,)) for n, text in enumerate(("यह सही है", "cats", "b", "c"))
    )
    choices = tuple((one.id, (*one.references, "running", *"yz"[:n])) for n, one in enumerate(instances))
    task = make_task(
        "p3", instances=instances, answer_choices=choices, label_space=None, languages=("English",)
    )
    texts = ("यह सही", "running", "b", "y")
    given = [
        {"task": "p3", "id": one.id, "prediction": text, "prompt": f"asked {one.id}"}
        for one, text in zip(instances, texts, strict=True)
    ]
    collection = TaskCollection("choices", (), (task,), "hash")
    found = import_predictions(write(tmp_path, given[::-1]), collection)
    assert [row.prompt for row in found.rows] == [f"asked {one.id}" for one in instances]
    assert {row.word_rule for row in found.rows} == {"latin"}
    overall = found.scores.overall
    assert overall.get("exact_match") == 25.0
    assert overall.get("format_correctness") == 75.0
    assert overall.get("uniform_guess") == pytest.approx(100 * (1 / 2 + 1 / 3 + 1 / 4 + 1 / 4) / 4)
    source = Source("m", instruction="simplified", data_budget=8, num_positive=1, seed=3)
    record = write_imported(found, source, collection, tmp_path / "s")
    place = ("instruction", "data_budget", "instruction.num_positive", "evaluation.instructions")
    assert [record.setting.get(key) for key in place] == ["simplified", 8, 1, ("simplified",)]
    assert (record.seed, record.blocks[0].key.test_instruction) == (3, "simplified")


def test_what_is_left_out() -> None:
    assert left_out(Source) == {"instruction": "original", "data_budget": 0, "num_positive": 2, "seed": 0}
    assert left_out(Matching) == {"partial": False, "own_references": False}
