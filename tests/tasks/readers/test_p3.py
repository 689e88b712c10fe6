import json
from dataclasses import replace

import datasets
import huggingface_hub
import pytest

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.readers import t0
from instruct_ablate.tasks.readers.p3 import FIELDS, open_source
from instruct_ablate.tasks.readers.t0 import held_out
from instruct_ablate.tasks.sampling import selection
from tests.tasks.readers.test_t0 import HELD_OUT_SETS


def rows(count=4, choices=("Yes", "No")):
    return [
        {
            "inputs_pretokenized": f"Prompt {n}? ",
            "targets_pretokenized": f"{('Yes', 'No')[n % 2]}\n<|endoftext|>",
            **({"answer_choices": list(choices)} if choices else {}),
        }
        for n in range(count)
    ]


def write(path, given):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, given)))


@pytest.fixture
def root(tmp_path):
    write(tmp_path / "p3" / "imdb_Sentiment.jsonl", rows())
    write(tmp_path / "p3" / "super_glue_rte_must_be_true.jsonl", rows())
    return tmp_path / "p3"


def read(root, **changes):
    return read_tasks(TasksConfig(reader="p3", root=str(root), **changes), root.parent / "cache")


def test_prompts_targets_and_choices(root):
    collection = read(root)
    (train,), (test,) = collection.train, collection.test
    assert (train.name, test.name) == ("imdb_Sentiment", "super_glue_rte_must_be_true")
    assert test.categories == ("super_glue_rte", "Natural Language Inference")
    assert train.prompted
    assert train.definition == ""
    assert train.instances[1].input == "Prompt 1?"
    assert train.instances[1].references == ("No",)
    assert train.label_space == ("Yes", "No")
    assert train.answer_choices == ()
    assert train.category == "imdb"


def test_choices_that_differ_stay_with_their_instances(root):
    given = rows(2, choices=("Yes", "No")) + rows(1, choices=("Yes ", "b</s>"))
    write(root / "super_glue_copa_best.jsonl", given)
    task = next(task for task in read(root).test if "copa" in task.name)
    assert task.label_space is None
    assert [choices for _, choices in task.answer_choices] == [("Yes", "No"), ("Yes", "No"), ("Yes", "b")]
    cut = next(task for task in read(root, test_instances=1).test if "copa" in task.name)
    assert len(cut.answer_choices) == 1


def test_rows_without_choices_are_generation(root):
    write(root / "imdb_Sentiment.jsonl", rows(choices=None))
    (train,) = read(root).train
    assert (train.kind, train.answer_choices) == ("generation", ())


def test_folders_of_splits_parquet_and_arrow(root):
    data = datasets.DatasetDict(
        {s: datasets.Dataset.from_list(rows(n)) for s, n in (("train", 6), ("validation", 4))}
    )
    data.save_to_disk(str(root / "hellaswag_complete_first_then"))
    for split in data:
        target = root / "trec_pick" / f"{split}-00000-of-00001.parquet"
        target.parent.mkdir(exist_ok=True)
        data[split].to_parquet(str(target))
    collection = read(root)
    sizes = {task.name: len(task.instances) for task in (*collection.train, *collection.test)}
    assert sizes["hellaswag_complete_first_then"] == 4, "tested on validation"
    assert sizes["trec_pick"] == 6, "trained on train"


def test_rows_for_each_choice_are_not_counted_again(root):
    for name in ("super_glue_rte_must_be_true_score_eval", "hellaswag_if_begins_how_continues_score_eval"):
        write(root / f"{name}.jsonl", rows(choices=None))
    names = [task.name for task in read(root).test]
    assert sorted(names) == ["hellaswag_if_begins_how_continues_score_eval", "super_glue_rte_must_be_true"]


def test_other_test_sets_by_globs(root):
    collection = read(root, test_split="imdb_*, super_glue_rte_*")
    assert [task.name for task in collection.test] == ["imdb_Sentiment", "super_glue_rte_must_be_true"]
    assert [task.name for task in read(root, test_split="imdb_*,").test] == ["imdb_Sentiment"]
    with pytest.raises(UserError, match=r"none of T0's eleven .*tasks\.test_split"):
        read(root, include=["imdb*"])
    with pytest.raises(UserError, match=r"none of T0's eleven"):
        read(root, test_split=",")


def test_data_sets_of_t0_that_are_not_there_are_noted_and_told_before_the_first_cell(root):
    held_out, trained = selection.unmet_numbers(read(root, mixture="t0").notes)
    assert held_out.startswith(
        "tasks.root: 10 of T0's 11 held-out data sets are not there: super_glue_cb, anli_r1"
    )
    assert trained.startswith(
        "tasks.root: 37 of T0's 38 data sets of tasks.mixture=t0 are not there: adversarial_qa"
    )
    assert trained.endswith(" and 29 more")
    assert len(selection.unmet_numbers(read(root).notes)) == 1
    assert selection.unmet_numbers(read(root, test_split="imdb_*").notes) == []
    assert selection.unmet_numbers(read(root, include=["*"]).notes) == [], "somebody has chosen"


def test_what_is_tested_can_be_named_for_a_grid_of_several_collections(monkeypatch):
    lines = ["experiment=kung_peng_t0", "tasks=p3"]
    assert compose_config(lines).tasks.test_split is None
    monkeypatch.setenv("P3_TEST_SPLIT", "imdb_*")
    assert compose_config(lines).tasks.test_split == "imdb_*"


def test_patterns_that_fit_nothing_are_refused_beside_one_that_fits(root):
    with pytest.raises(UserErrors) as caught:
        read(root, include=["*", "imbd_Sentiment"], test_split="imdb_*, 123")
    assert caught.value.faults == (
        "tasks.include: the pattern 'imbd_Sentiment' matches no task; did you mean 'imdb_Sentiment'?",
        "tasks.test_split: the pattern '123' matches no prompt set",
    )


def test_bad_input(root, tmp_path):
    write(root / "imdb_Sentiment.jsonl", [{"inputs": "x"}])
    write(root / "trec_x.jsonl", [])
    with pytest.raises(UserErrors) as caught:
        read(root)
    first, second = caught.value.faults
    assert "imdb_Sentiment.jsonl: row 1: the keys 'inputs_pretokenized'" in first
    assert "trec_x.jsonl: no rows" in second
    with pytest.raises(
        UserError, match=r"match tasks\.include=\['imbd_Sentiment'\]; did you mean 'imdb_Sentiment'"
    ):
        read(root, include=["imbd_Sentiment"])
    with pytest.raises(UserError, match=r"tasks\.root is needed"):
        read_tasks(TasksConfig(reader="p3"), tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no prompt sets there"):
        read(tmp_path / "empty")


def test_the_hub_is_asked_for_each_prompt_set(tmp_path, monkeypatch):
    asked = []

    def load(repository, name):
        asked.append((repository, name))
        return {"train": rows(6), "validation": rows(2)}

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *words, **more: None)
    monkeypatch.setattr(datasets, "load_dataset", load)
    config = TasksConfig(
        reader="p3", root="bigscience/P3", include=["imdb_x", "hellaswag_complete_first_then"]
    )
    collection = read_tasks(config, tmp_path)
    assert asked == [("bigscience/P3", "imdb_x"), ("bigscience/P3", "hellaswag_complete_first_then")]
    assert (len(collection.train[0].instances), len(collection.test[0].instances)) == (6, 2)
    with pytest.raises(UserError, match="no wildcards"):
        read_tasks(TasksConfig(reader="p3", root="bigscience/P3", include=["imdb_*"]), tmp_path)
    with pytest.raises(UserError, match=r"tasks\.test_split: the pattern 'imbd_\*' matches no prompt set"):
        read_tasks(replace(config, test_split="hellaswag_*, imbd_*"), tmp_path)


def test_a_hub_that_is_away(tmp_path, monkeypatch):
    def load(repository, name):
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *words, **more: None)
    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(
        UserError,
        match=r"bigscience/P3, prompt set hellaswag_complete_first_then: there is no such folder or file in .*, and "
        r"`datasets` cannot load it: no route",
    ):
        read_tasks(
            TasksConfig(reader="p3", root="bigscience/P3", include=["hellaswag_complete_first_then"]),
            tmp_path,
        )


def test_a_hub_without_the_data_set_is_asked_once(tmp_path, monkeypatch):
    """`datasets` would be asked for a minute, and so for each of the prompt sets."""
    asked = []

    def away(self, name, timeout):
        asked.append(name)
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", away)
    monkeypatch.setattr(datasets, "load_dataset", lambda *words: pytest.fail("asked for a minute"))
    names = ["hellaswag_complete_first_then", "imdb_x", "ag_news_x"]
    with pytest.raises(UserError, match=r"tasks.root=own/P3: there is no such .* the hub gave no answer"):
        read_tasks(TasksConfig(reader="p3", root="own/P3", include=names), tmp_path)
    assert asked == ["own/P3"]


def test_real_prompt_sets(shared, tmp_path):
    config = TasksConfig(reader="p3", root=str(shared / "p3-sample"), test_split="imdb_*")
    collection = read_tasks(config, tmp_path)
    assert len(collection.train) + len(collection.test) == 48
    assert not any("endoftext" in i.references[0] for task in collection.train for i in task.instances)


def test_a_renamed_prompt_set_is_another(root):
    """The same files under another folder: nothing but the name of the set has changed."""
    write(root / "hellaswag_complete_first_then" / "validation.jsonl", rows())
    assert "hellaswag_complete_first_then" in [task.name for task in read(root).test]
    (root / "hellaswag_complete_first_then").rename(root / "hellaswag_if_begins_how_continues")
    assert "hellaswag_if_begins_how_continues" in [task.name for task in read(root).test]


def test_a_prompt_set_packed_by_gzip_keeps_its_name(root):
    import gzip

    path = root / "imdb_Sentiment.jsonl"
    path.with_name("imdb_Sentiment.jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert [task.name for task in read(root).train] == ["imdb_Sentiment"]


def test_only_templates_named_after_the_original_task_are_evaluated(root):
    for data, templates in HELD_OUT_SETS.items():
        for template in templates:
            write(root / f"{data}_{template}.jsonl", rows())
    collection = read(root)
    found = [held_out(task.name) for task in collection.test]
    assert {name: found.count(name) for name in HELD_OUT_SETS} == {
        "hellaswag": 4, "winogrande_winogrande_xl": 5, "story_cloze_2016": 5,
    }  # fmt: skip
    assert [task.name for task in collection.train] == ["imdb_Sentiment"], "nor is it trained on the others"
    assert any(
        "9 prompt sets are left out: T0 neither trains nor is evaluated on them" in note
        for note in collection.notes
    )
    asked = read(root, test_split="hellaswag_how_ends")
    assert [task.name for task in asked.test] == ["hellaswag_how_ends"], "asked for, they are there"


def test_validation_sets_are_whole_unless_a_limit_is_set(root):
    write(root / "super_glue_rte_must_be_true.jsonl", rows(150))
    from instruct_ablate.grid.composing.composer import compose_config

    config = compose_config(["tasks=p3", f"tasks.root={root}"]).tasks
    (task,) = read_tasks(config, root.parent / "cache").test
    assert len(task.instances) == 150
    (task,) = read(root, test_instances=100).test
    assert len(task.instances) == 100


def test_a_mixture_trains_on_its_data_sets_alone(root):
    for name in (
        "super_glue_boolq_exam", "race_high_pick", "hellaswag_how_ends", "hellaswag_if_begins_how_continues",
        "crows_pairs_1", "winogrande_winogrande_debiased_Replace", "gigaword_summarize_", "mine",
    ):  # fmt: skip
        write(root / f"{name}.jsonl", rows())

    def sides(mixture):
        made = read(root, mixture=mixture)
        return {task.name for task in made.train}, {task.name for task in made.test}, made.notes

    base = {"imdb_Sentiment"}
    train, test, notes = sides("t0")
    assert train == base
    assert test == {"super_glue_rte_must_be_true", "hellaswag_if_begins_how_continues"}
    assert any(note.startswith("7 prompt sets are left out") for note in notes)
    hellaswag = {"hellaswag_how_ends", "hellaswag_if_begins_how_continues"}
    plus = base | hellaswag | {"race_high_pick"}
    train, test, _ = sides("t0_plus")
    assert (train, test) == (plus, {"super_glue_rte_must_be_true"}), "what is trained on is not tested"
    assert sides("t0_plus_plus")[0] == plus | {"super_glue_boolq_exam"}
    train, _, notes = sides(None)
    assert "crows_pairs_1" in train
    assert any("trained on that T0 is not (tasks.mixture=t0" in note for note in notes)
    with pytest.raises(UserError, match=r"tasks\.mixture.*t0_plus"):
        read(root, mixture="t0plus")


def test_large_data_sets_of_a_mixture_give_their_share(root, monkeypatch):
    monkeypatch.setattr(t0, "MOST", 10)
    for name in ("imdb_one", "imdb_two"):
        write(root / f"{name}.jsonl", rows(12))
    write(root / "imdb_Sentiment.jsonl", rows(10))
    sizes = {task.name: len(task.instances) for task in read(root, mixture="t0").train}
    assert sizes == {"imdb_one": 3, "imdb_two": 3, "imdb_Sentiment": 10}, "10 among three templates"
    assert {len(task.instances) for task in read(root).train} == {10, 12}, "no mixture, no cap"


def test_rows_marked_incorrect_are_choices_and_no_references(root):
    given = [
        {"inputs_pretokenized": f"Which {n}?", "targets_pretokenized": text, "is_correct": text == right, "idx": [n, k]}
        for n, right in enumerate(("Yes", "No"))
        for k, text in enumerate(("Yes", "No"))
    ]  # fmt: skip
    write(root / "super_glue_cb_can_we_infer_score_eval.jsonl", given)
    task = next(task for task in read(root).test if "cb" in task.name)
    assert [one.references for one in task.instances] == [("Yes",), ("No",)]
    assert (task.label_space, task.kind) == (("Yes", "No"), "classification")


@pytest.mark.parametrize(
    "shape", ["Yes ||| No", ["Yes", "No"], {"text": ["Yes", "No"], "label": ["A", "B"]}, "['Yes', 'No']"]
)
def test_choices_in_the_shapes_that_are_published(root, shape):
    given = [{**row, "answer_choices": shape} for row in rows(choices=None)]
    write(root / "super_glue_rte_must_be_true.jsonl", given)
    (task,) = read(root).test
    assert task.label_space == ("Yes", "No")


def test_targets_that_are_none_of_the_choices_are_counted_and_refused_above_a_share(root):
    given = rows(20)
    given[3]["targets_pretokenized"] = "Maybe"
    write(root / "super_glue_rte_must_be_true.jsonl", given)
    assert any(
        "1 of 20 rows have a target that is none of their choices" in note for note in read(root).notes
    )
    for row in given[:4]:
        row["targets_pretokenized"] = "Maybe"
    write(root / "super_glue_rte_must_be_true.jsonl", given)
    with pytest.raises(UserError, match="4 of 20 rows have a target that is none"):
        read(root)


def test_two_equal_choices_in_a_row_are_no_reason_to_refuse(root):
    from instruct_ablate.grid.checking.reading_checks import check_choices
    from instruct_ablate.schema import EvaluationConfig, PromptConfig

    given = [
        {"inputs_pretokenized": "Next?", "targets_pretokenized": a, "answer_choices": [a, b]}
        for a, b in (("It ran.", "it ran"), ("He sat", "She sat"), ("x", "x"))
    ]
    write(root / "super_glue_copa_choose.jsonl", given)
    config = TasksConfig(reader="p3", root=str(root))
    ranked = EvaluationConfig(decoding="rank")
    assert check_choices(config, root.parent / "cache", ranked, PromptConfig()) == []


@pytest.mark.parametrize(
    ("mixture", "test_split", "train"),
    [
        (None, None, ["imdb_Sentiment", "mine"]),
        (None, "super_glue_rte_*", ["imdb_Sentiment", "hellaswag_complete", "mine"]),
        ("t0", None, ["imdb_Sentiment"]),
        ("t0", "super_glue_rte_*", ["imdb_Sentiment"]),
    ],
)
def test_which_sets_are_trained_on_and_which_of_them_are_said_to_be_strange(root, mixture, test_split, train):
    write(root / "mine.jsonl", rows())
    write(root / "hellaswag_complete.jsonl", rows())
    given = {"mixture": mixture, "test_split": test_split}
    collection = read(root, **{key: value for key, value in given.items() if value})
    assert sorted(task.name for task in collection.train) == sorted(train)
    strange = [note for note in collection.notes if "trained on that T0 is not" in note]
    assert bool(strange) is (mixture is None)
    assert all("imdb_Sentiment" not in note for note in strange)


def test_keys_that_it_reads():
    """Any other key of the group is refused, so one that falls out here is lost to users."""
    assert {
        "root",
        "include",
        "categories",
        "test_split",
        "test_tasks",
        "test_instances",
        "train_on",
        "label_spaces",
        "mixture",
        "train_categories",
        "train_include",
        "test_categories",
        "test_include",
    } == FIELDS


def test_a_mixture_is_another_collection(root):
    keys = [
        open_source(TasksConfig(reader="p3", root=str(root), mixture=one), root.parent / "cache").key
        for one in (None, "t0", "t0_plus")
    ]
    assert len(set(keys)) == 3
    assert "mixture" not in keys[0]


def test_labels_are_those_of_the_prompt_set_and_never_made_of_its_targets(root):
    write(root / "imdb_Free.jsonl", rows(8, choices=None))
    task = next(task for task in read(root).train if task.name == "imdb_Free")
    assert task.label_space is None
