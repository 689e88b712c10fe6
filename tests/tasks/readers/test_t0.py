"""What T0 was trained and evaluated on."""

import hashlib
from collections import Counter

import pytest

from instruct_ablate.tasks.readers import t0
from instruct_ablate.tasks.readers.t0 import (
    EVALUATED,
    HELD_OUT,
    MIXTURES,
    capped,
    held_out,
    is_evaluated,
    trained_on,
)

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


def test_evaluated_templates():
    assert {data: sum(is_evaluated(f"{data}_{one}") for one in names) for data, names in HELD_OUT_SETS.items()} == {
        "hellaswag": 4, "winogrande_winogrande_xl": 5, "story_cloze_2016": 5,
    }  # fmt: skip
    assert is_evaluated("hellaswag_if_begins_how_continues_score_eval")
    assert is_evaluated("super_glue_rte_anything")
    assert not is_evaluated("imdb_Sentiment")


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


def test_mixtures_are_nested_and_hold_none_of_the_other_held_out_sets():
    assert [len(names) for names in MIXTURES.values()] == [38, 48, 54]
    assert set(MIXTURES["t0"]) < set(MIXTURES["t0_plus"]) < set(MIXTURES["t0_plus_plus"])
    assert not set(MIXTURES["t0"]) & set(HELD_OUT)
    assert set(MIXTURES["t0_plus_plus"]) & set(HELD_OUT) == {
        "hellaswag", "super_glue_copa", "super_glue_wic", "super_glue_wsc.fixed",
    }  # fmt: skip


def test_training_prompt_sets_by_their_data_set():
    assert trained_on("wiki_qa_Decide_good_answer", "t0") == "wiki_qa"
    assert trained_on("cos_e_v1.11_description", "t0") == "cos_e_v1.11"
    for other in (
        "gigaword_summarize_",
        "wino_bias_type1_pro_x",
        "winogrande_winogrande_debiased_x",
        "imdbx_y",
    ):
        assert trained_on(other, "t0_plus_plus") is None


def test_every_training_set_of_the_sample_belongs_to_the_mixture(shared):
    from pathlib import Path

    names = [Path(path).stem for path in (shared / "p3-sample").glob("*.jsonl")]
    strange = [name for name in names if not trained_on(name, "t0")]
    assert all(name.startswith("commonsense_qa") for name in strange)


@pytest.mark.parametrize(("rows", "kept"), [(8, 8), (9, 4), (30, 4)])
def test_a_large_data_set_gives_its_share_the_same_each_time(monkeypatch, rows, kept):
    monkeypatch.setattr(t0, "MOST", 8)
    drawn = capped(range(rows), 2, "imdb_x")
    assert len(drawn) == kept
    assert list(drawn) == sorted(set(drawn))
    assert drawn == capped(range(rows), 2, "imdb_x")


def test_the_names_are_those_of_t_zero_and_p3():
    """The digest of the names in t0/datasets.csv and tasks.py, sorted; a misspelt one would be left out unseen."""
    names = sorted(
        {*MIXTURES["t0_plus_plus"], *HELD_OUT, *(one for names in EVALUATED.values() for one in names)}
    )
    assert hashlib.sha256(" ".join(names).encode()).hexdigest()[:16] == "3582c0394d2174ea"
    assert MIXTURES["t0"][:3] == ("adversarial_qa_dbert", "adversarial_qa_dbidaf", "adversarial_qa_droberta")
    assert set(MIXTURES["t0_plus_plus"]) - set(MIXTURES["t0_plus"]) == {
        "super_glue_boolq", "super_glue_copa", "super_glue_multirc", "super_glue_record", "super_glue_wic",
        "super_glue_wsc.fixed",
    }  # fmt: skip
    assert t0.MOST == 500_000


def test_clusters_of_the_eleven():
    assert Counter(HELD_OUT.values()) == {
        "Natural Language Inference": 5,
        "Sentence Completion": 3,
        "Coreference Resolution": 2,
        "Word Sense Disambiguation": 1,
    }
    assert HELD_OUT["super_glue_wic"] == "Word Sense Disambiguation"


def test_what_is_drawn_of_a_large_data_set(monkeypatch):
    """As it has been drawn since the cap came: other rows would be another training set under the same identity."""
    monkeypatch.setattr(t0, "MOST", 8)
    assert capped(range(30), 2, "imdb_x") == [3, 6, 15, 19]
    assert capped(range(30), 2, "imdb_y") == [8, 16, 20, 23]
    assert capped(range(30), 8, "imdb_x") == [15]


def test_names_that_only_begin_alike_are_of_no_data_set():
    assert trained_on("imdb", "t0") == "imdb"
    assert trained_on("imdb_x", "t0") == "imdb"
    assert trained_on("imdbx", "t0") is None
    assert trained_on("hellaswag_x", "t0") is None
    assert trained_on("hellaswag_x", "t0_plus") == "hellaswag"
    assert held_out("anli_x_r3_score_eval") == "anli_r3"
    assert not is_evaluated("hellaswag_Open_ended_start")
    assert not is_evaluated("hellaswag_Open_ended_start_score_eval")
