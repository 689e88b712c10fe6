import json

import datasets
import pytest

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.p3 import EVALUATED, HELD_OUT, clean, held_out


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


@pytest.mark.parametrize("text", ["Yes<|endoftext|>", " Yes </s> <pad><pad>", "Yes\n", "Yes"])
def test_special_tokens_at_the_end_are_stripped(text):
    assert clean(text) == "Yes"
    assert clean("a</s>b") == "a</s>b"


def test_the_eleven():
    assert len(HELD_OUT) == 11
    names = {
        "super_glue_wsc.fixed_the_pronoun": "super_glue_wsc.fixed",
        "anli_guaranteed_possible_impossible_r2": "anli_r2",
        "anli_GPT_3_style_r1_score_eval": "anli_r1",
        "winogrande_winogrande_xl_fill_in": "winogrande_winogrande_xl",
        "hellaswag_complete_first_then": "hellaswag",
    }
    assert {name: held_out(name) for name in names} == names
    for other in ("winogrande_winogrande_debiased_x", "super_glue_boolq_exam", "anli_r4", "imdb_hellaswag"):
        assert held_out(other) is None


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
    collection = read(root, test_split="imdb_*, absent")
    assert [task.name for task in collection.test] == ["imdb_Sentiment"]
    with pytest.raises(UserError, match=r"none of T0's eleven .*tasks\.test_split"):
        read(root, include=["imdb*"])


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

    monkeypatch.setattr(datasets, "load_dataset", load)
    config = TasksConfig(
        reader="p3", root="bigscience/P3", include=["imdb_x", "hellaswag_complete_first_then"]
    )
    collection = read_tasks(config, tmp_path)
    assert asked == [("bigscience/P3", "imdb_x"), ("bigscience/P3", "hellaswag_complete_first_then")]
    assert (len(collection.train[0].instances), len(collection.test[0].instances)) == (6, 2)
    with pytest.raises(UserError, match="no wildcards"):
        read_tasks(TasksConfig(reader="p3", root="bigscience/P3", include=["imdb_*"]), tmp_path)


def test_a_hub_that_is_away(tmp_path, monkeypatch):
    def load(repository, name):
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(
        UserError,
        match="bigscience/P3, prompt set hellaswag_complete_first_then: `datasets` cannot load it: no route",
    ):
        read_tasks(
            TasksConfig(reader="p3", root="bigscience/P3", include=["hellaswag_complete_first_then"]),
            tmp_path,
        )


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


HELD_OUT_SETS = {
    "hellaswag": (
        "complete_first_then", "Topic_without_the_ending_answer", "Open_ended_completion", "Topic_of_the_context",
        "Randomized_prompts_template", "Appropriate_continuation_Yes_or_No", "Predict_ending_with_hint",
        "Open_ended_start", "Reversed_appropriate_continuation_Yes_or_No", "how_ends", "if_begins_how_continues",
    ),
    "winogrande_winogrande_xl": (
        "does_underscore_refer_to", "stand_for", "underscore_refer_to", "fill_in_the_blank", "True_or_False", "Replace",
    ),
    "story_cloze_2016": (
        "Answer_Given_options", "Choose_Story_Ending", "Movie_What_Happens_Next", "Story_Continuation_and_Options",
        "Generate_Ending", "Novel_Correct_Ending",
    ),
}  # fmt: skip


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
    assert any("9 prompt sets of held-out data are not among those" in note for note in collection.notes)
    asked = read(root, test_split="hellaswag_how_ends")
    assert [task.name for task in asked.test] == ["hellaswag_how_ends"], "asked for, they are there"


def test_the_templates_are_promptsource_s(shared):
    """The names that P3 makes of promptsource's templates whose `original_task` is true."""
    import re

    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda loader, suffix, node: loader.construct_mapping(node, deep=True))
    folder = shared / "promptsource-templates"
    for data, place in (
        ("hellaswag", "hellaswag"),
        ("winogrande_winogrande_xl", "winogrande/winogrande_xl"),
        ("story_cloze_2016", "story_cloze/2016"),
    ):
        given = yaml.load((folder / place / "templates.yaml").read_text(), Loader)["templates"].values()
        names = {re.sub(r"[^\w.]+", "_", one["name"]) for one in given if one["metadata"]["original_task"]}
        assert names == set(EVALUATED[data])


def test_validation_sets_are_whole_unless_a_limit_is_set(root):
    write(root / "super_glue_rte_must_be_true.jsonl", rows(150))
    from instruct_ablate.grid.composer import compose_config

    config = compose_config(["tasks=p3", f"tasks.root={root}"]).tasks
    (task,) = read_tasks(config, root.parent / "cache").test
    assert len(task.instances) == 150
    (task,) = read(root, test_instances=100).test
    assert len(task.instances) == 100
