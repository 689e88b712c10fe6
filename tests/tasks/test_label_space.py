import json
from dataclasses import replace

import pytest

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.instruction import vary
from instruct_ablate.schema import InstructionConfig, TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.label_space import (
    OVERRIDES,
    check_names,
    derive,
    disagreements,
    distinct,
    overridden,
    read_annotation,
    read_overrides,
)
from instruct_ablate.tasks.task import Example, Instance
from tests.conftest import make_task


def instances(*outputs):
    return tuple(
        Instance(str(n), "x", output if isinstance(output, tuple) else (output,))
        for n, output in enumerate(outputs)
    )


def test_spellings_that_differ_in_case_and_punctuation_are_one_label():
    assert derive("", instances("She", "he.", "she", "He", " he "), ()) == ("She", "he.")


def test_few_recurring_outputs_are_a_closed_set_in_order_of_appearance():
    assert derive("Judge it.", instances("no", "yes", "no", "yes"), ()) == ("no", "yes")


def test_outputs_that_do_not_recur_are_generation():
    assert derive("", instances("a", "b", "c", "d"), ()) is None
    assert derive("", (), ()) is None


def test_several_references_or_long_outputs_are_generation():
    assert derive("", instances(("a", "b"), ("b", "a"), ("a", "b")), ()) is None
    assert derive("", instances(*[" ".join("abcdefghijk")] * 4), ()) is None


def test_more_than_five_outputs_must_be_stated():
    colours = ["red", "blue", "green", "pink", "grey", "black"]
    stated = f"Choose one of: {', '.join(colours)}."
    assert derive(stated, instances(*colours * 2), ()) == tuple(colours)
    assert derive("Name the colour.", instances(*colours * 2), ()) is None
    assert (
        derive("Reddish, bluest, greenery, pinkish, greyer or blackest?", instances(*colours * 2), ()) is None
    )
    many = [f"label{n}" for n in range(61)]
    assert derive(" ".join(many), instances(*many * 3), ()) is None


def test_positive_examples_add_only_labels_that_the_definition_states():
    shown = (Example("x", "maybe"), Example("x", "perhaps"))
    assert derive("Answer yes, no or maybe.", instances("yes", "no", "yes", "no"), shown) == (
        "yes",
        "no",
        "maybe",
    )


def test_overrides_replace_derived_spaces():
    first, second = overridden([make_task("a"), make_task("b")], {"a": None})
    assert first.kind == "generation"
    assert second == make_task("b")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- a", "must map"),
        ("a: [b", "not YAML"),
        ("a: yes", "at least two"),
        ("a: [x]", "at least two"),
        ("a: [yes, no]", "quotes"),
        ("a: ['Yes.', 'yes', 'no']", "equal after normalisation: 'yes'"),
    ],
)
def test_wrong_override_files(tmp_path, text, why):
    path = tmp_path / "spaces.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=why):
        read_overrides(path)


def test_override_files_missing_or_empty(tmp_path):
    with pytest.raises(UserError, match=r"the label spaces .*absent\.yaml: no such file"):
        read_overrides(tmp_path / "absent.yaml")
    (tmp_path / "empty.yaml").write_text("# none\n")
    assert read_overrides(tmp_path / "empty.yaml") == {}


def test_two_faults_are_told_together(tmp_path):
    path = tmp_path / "spaces.yaml"
    path.write_text("a: [x]\nb: 3\n")
    with pytest.raises(UserErrors) as caught:
        read_overrides(path)
    assert len(caught.value.faults) == 2


def test_agrees_with_the_published_lists_on_the_official_test_tasks(shared, tmp_path):
    config = TasksConfig(reader="natural_instructions", root=str(shared / "natural-instructions"))
    config.include = (shared / "natural-instructions/splits/default/test_tasks.txt").read_text().split()
    tasks = read_tasks(config, tmp_path).test
    split = json.loads((shared / "kung_peng/split_119.json").read_text())
    classification = {*split["cls_exact57"], *split["cls_other1"]}
    assert {task.name for task in tasks if task.kind == "classification"} == classification
    annotation = read_annotation(shared / "kung_peng/label_spaces_876.json")
    told = [line.partition(": ") for line in disagreements(tasks, annotation)]
    both = [task for task in tasks if annotation.get(task.name) and task.label_space is not None]
    assert len(both) == 57
    # Where the two published lists contradict each other: none has other labels, two are of another kind.
    assert len(told) == 2
    assert {name for name, _, _ in told} <= set(read_overrides(OVERRIDES))
    assert all(how.startswith("generation ") for _, _, how in told)


def test_disagreements_with_a_published_annotation(tmp_path):
    path = tmp_path / "spaces.json"
    there = {
        "a": ["Positive.", "negative"],
        "b": ["Generate free text"],
        "c": ["negative", "mixed"],
        "d": ["x"],
    }
    path.write_text(json.dumps(there))
    here = {
        "a": ("positive", "negative"),
        "b": ("yes", "no"),
        "c": ("positive", "negative"),
        "d": None,
        "e": None,
    }
    tasks = [make_task(name, label_space=space) for name, space in here.items()]
    assert disagreements(tasks, read_annotation(path)) == (
        "b: generation there, labels here: yes, no",
        "c: only here: positive; only there: mixed",
        "d: generation here, labels there: x",
    )
    path.write_text("[]")
    with pytest.raises(UserError, match="must hold a JSON object"):
        read_annotation(path)


def test_corrected_label_spaces(shared, tmp_path):
    """A copy of 200 instances holds 1 of task512's 6 labels, and 1 of task1495's 2."""
    config = TasksConfig(reader="natural_instructions", root=str(shared / "natural-instructions"))
    spaces = {task.name: task.label_space for task in read_tasks(config, tmp_path).train}
    assert len(spaces["task512_twitter_emotion_classification"]) == 6
    assert len(spaces["task1495_adverse_drug_event_classification"]) == 2
    assert spaces["task162_count_words_starting_with_letter"] is None


def test_the_first_spelling_of_a_label_stays():
    assert distinct(["Yes", "yes.", " ", "", "no", "NO"]) == ("Yes", "no")
    assert distinct([]) == ()


def test_label_spaces_of_unknown_tasks_are_refused(tmp_path):
    check_names(tmp_path, {"task1": ("a",)}, ["task1", "task2"])
    with pytest.raises(UserErrors) as caught:
        check_names(tmp_path, {"task1": None, "tusk2": ("a",), "x": None}, ["task1", "task2"])
    first, second = caught.value.faults
    assert "the collection has no task 'tusk2'; did you mean 'task2'?" in first
    assert "no task 'x'" in second


def test_up_to_six_labels_of_a_disagreement_are_named():
    labels = tuple("abcdefgh")
    (line,) = disagreements([make_task("t", label_space=labels)], {"t": None})
    assert line == "t: generation there, labels here: a, b, c, d, e, f, …"
    (line,) = disagreements([make_task("t", label_space=None)], {"t": labels})
    assert line == "t: generation here, labels there: a, b, c, d, e, f, …"
    (line,) = disagreements([make_task("t", label_space=("a", "b"))], {"t": ("B", "c")})
    assert line == "t: only here: a; only there: c"
    assert disagreements([make_task("t", label_space=("a",))], {"t": ("A.",)}) == ()
    assert disagreements([make_task("t", label_space=("a",))], {}) == ()


def _two_sides(root, reader):
    """A task on both sides: three labels to train on, two tested, one of which no training row has."""
    sides = {"train": ["red", "blue", "green", "red"] * 3, "test": ["blue", "Mixed"] * 3}
    for side, labels in sides.items():
        rows = [{"input": f"{side} {at}", "output": label} for at, label in enumerate(labels)]
        if reader == "instruction_json":
            rows = [{**row, "instruction": "Say the colour."} for row in rows]
        (root / f"{side}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    more = {"columns": {"input": "input", "output": "output"}, "definition": "Say the colour."}
    return TasksConfig(
        reader=reader, root=str(root), train_split="train", test_split="test",
        **(more if reader == "hf_dataset" else {}),
    )  # fmt: skip


@pytest.mark.parametrize("reader", ["hf_dataset", "instruction_json"])
def test_a_task_on_both_sides_has_one_label_space(tmp_path, reader):
    """Before: guess, constraint and simplified definition were of the two labels that the test rows happen to hold."""
    (tmp_path / "data").mkdir()
    config = _two_sides(tmp_path / "data", reader)
    collection = read_tasks(config, tmp_path / "cache")
    (train,), (test,) = collection.train, collection.test
    assert train.label_space == test.label_space == ("red", "blue", "green", "Mixed")
    simplified = [vary(one, InstructionConfig("simplified"), Context(0, (one,))) for one in (train, test)]
    assert simplified[0].definition == simplified[1].definition
    few = read_tasks(replace(config, test_instances=1), tmp_path / "cache").test[0]
    assert few.label_space == test.label_space, "how many are tested changes no label"


def test_labels_of_both_sides_count_in_what_the_tasks_are_known_by(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    config = _two_sides(tmp_path / "data", "hf_dataset")
    now = read_tasks(config, tmp_path / "cache").content_hash
    named = read_tasks(replace(config, labels=["red", "blue", "green", "Mixed"]), tmp_path / "cache")
    monkeypatch.setattr("instruct_ablate.tasks.label_space.of_both_sides", lambda train, test: {})
    assert read_tasks(config, tmp_path / "cache").content_hash != now
    assert named.train[0].label_space == named.test[0].label_space, "named ones stay as they are"
