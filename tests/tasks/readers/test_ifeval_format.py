from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.constraints import constraints_of, kinds, make
from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.readers.ifeval_format import MADE, OPTIONS
from instruct_ablate.tasks.task import Task

# By id: its arguments as a file has them, and the constraint that they mean.
EACH: dict[str, tuple[dict[str, Any], Any]] = {
    "keywords:existence": ({"keywords": ["oak", "elm"]}, make("keywords", words=["oak", "elm"])),
    "keywords:frequency": (
        {"keyword": "oak", "frequency": 3, "relation": "less than"},
        make("keyword_count", word="oak", relation="less than", count=3),
    ),
    "keywords:forbidden_words": ({"forbidden_words": ["fir"]}, make("forbidden", words=["fir"])),
    "keywords:letter_frequency": (
        {"letter": "q", "let_frequency": 4, "let_relation": "at least"},
        make("letter_count", letter="q", relation="at least", count=4),
    ),
    "language:response_language": ({"language": "de"}, make("language", language="de")),
    "length_constraints:number_sentences": (
        {"relation": "at least", "num_sentences": 5},
        make("sentences", relation="at least", count=5),
    ),
    "length_constraints:number_paragraphs": (
        {"num_paragraphs": 3},
        make("paragraphs", count=3, divider="***"),
    ),
    "length_constraints:number_words": (
        {"relation": "less than", "num_words": 90.0},
        make("words", relation="less than", count=90),
    ),
    "length_constraints:nth_paragraph_first_word": (
        {"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "so"},
        make("paragraph_start", count=3, place=2, word="so"),
    ),
    "detectable_content:number_placeholders": ({"num_placeholders": 2}, make("placeholders", count=2)),
    "detectable_content:postscript": ({"postscript_marker": "P.P.S"}, make("postscript", marker="P.P.S")),
    "detectable_format:number_bullet_lists": (
        {"num_bullets": 4},
        make("items", mark="bullet", relation="exactly", count=4),
    ),
    "detectable_format:constrained_response": ({}, make("choice", options=OPTIONS)),
    "detectable_format:number_highlighted_sections": ({"num_highlights": 2}, make("highlights", count=2)),
    "detectable_format:multiple_sections": (
        {"section_spliter": "PART", "num_sections": 2},
        make("sections", name="PART", count=2),
    ),
    "detectable_format:json_format": ({}, make("json", value="any")),
    "detectable_format:title": ({}, make("title")),
    "combination:two_responses": ({}, make("two_answers")),
    "combination:repeat_prompt": (
        {"prompt_to_repeat": "Name a tree."},
        make("repeat_prompt", text="Name a tree."),
    ),
    "startend:end_checker": ({"end_phrase": "So be it."}, make("end_phrase", phrase="So be it.")),
    "startend:quotation": ({}, make("quoted")),
    "change_case:capital_word_frequency": (
        {"capital_relation": "less than", "capital_frequency": 3},
        make("capital_words", relation="less than", count=3),
    ),
    "change_case:english_capital": ({}, make("case", case="upper", language="en")),
    "change_case:english_lowercase": ({}, make("case", case="lower", language="en")),
    "punctuation:no_comma": ({}, make("no_commas")),
}


def row(*ids: str, kwargs: Any = None, **more: Any) -> dict[str, Any]:
    given = [EACH[name][0] for name in ids] if kwargs is None else kwargs
    return {"key": 17, "prompt": "Name a tree.", "instruction_id_list": list(ids), "kwargs": given, **more}


def read(folder: Path, *rows: dict[str, Any]) -> Task:
    file = folder / "mine.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    config = TasksConfig(reader="ifeval_format", root=str(file), test_instances=None)
    (task,) = read_tasks(config, folder / "cache").test
    return task


def test_each_published_id_is_one_of_our_checks(tmp_path: Path) -> None:
    assert set(EACH) == set(MADE)
    assert len(MADE) == 25
    assert {made.kind for _, made in EACH.values()} == set(kinds()) - {"start_phrase"}
    # As the published file has it, or as copies in tables have it: with a null for what an id does not take.
    every = {key: None for given, _ in EACH.values() for key in given}
    rows = [row(name, key=at) for at, name in enumerate(EACH)]
    rows += [row(name, key=at + 100, kwargs=[every | EACH[name][0]]) for at, name in enumerate(EACH)]
    task = read(tmp_path, *rows)
    wanted = [(made,) for _, made in EACH.values()]
    assert [constraints_of(one.references) for one in task.instances] == [*wanted, *wanted]
    assert [one.id for one in task.instances][:2] == ["0", "1"]


def test_a_prompt_with_several_instructions_stays_as_it_is(tmp_path: Path) -> None:
    names = ("punctuation:no_comma", "keywords:existence", "detectable_format:title")
    task = read(tmp_path, row(*names, prompt=" Name\n\na tree… "))
    (one,) = task.instances
    assert one.input == " Name\n\na tree… "
    assert constraints_of(one.references) == tuple(EACH[name][1] for name in names)
    assert (task.definition, task.kind, task.positive_examples) == ("", "generation", ())


def test_what_is_trained_on_is_the_starters(tmp_path: Path) -> None:
    read(tmp_path, row("detectable_format:title"))
    config = TasksConfig("ifeval_format", root=str(tmp_path / "mine.jsonl"), train_include=["starter00*"])
    train = read_tasks(config, tmp_path / "cache").train
    assert train
    assert all(task.name.startswith("starter00") for task in train)


def test_unknown_ids_are_refused_by_name_all_at_once(tmp_path: Path) -> None:
    rows = [row("punctuation:no_dot", kwargs=[{}]), row("a:b", "detectable_format:title", kwargs=[{}, {}])]
    with pytest.raises(
        UserError, match=r"unknown instruction ids: 'a:b', 'punctuation:no_dot'\. Known: keywords:exis"
    ):
        read(tmp_path, *rows)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            row("keywords:existence", kwargs=[{}]),
            "row 1: instruction keywords:existence: .*words=None: give a list",
        ),
        (row("length_constraints:number_words", kwargs=[{"num_words": 2.5}]), "give a whole number from 1"),
        (
            row("length_constraints:number_words", kwargs=[{"num_words": "many"}]),
            "give a whole number from 1",
        ),
        (
            row("keywords:frequency", kwargs=[{"keyword": "a", "frequency": 1, "relation": "about"}]),
            "give one of at least",
        ),
        (row("punctuation:no_comma", kwargs=[]), "must be a list with an object for each of the 1 ids"),
        (row("punctuation:no_comma", kwargs={}), "must be a list with an object"),
        (
            row(),
            "row 1: 'instruction_id_list' must be a list of ids; the row has instruction_id_list, key, kwargs",
        ),
        ({"prompt": "Name a tree."}, "must be a list of ids; the row has prompt"),
        (row("punctuation:no_comma", prompt=None), "'prompt' is missing or null"),
        (row("punctuation:no_comma", prompt=["a"]), "'prompt' holds a list"),
    ],
)
def test_what_is_no_row_of_the_format_is_named(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises((UserError, UserErrors), match=said):
        read(tmp_path, given)


def test_without_a_file(tmp_path: Path) -> None:
    for root in (None, str(tmp_path), str(tmp_path / "absent.jsonl")):
        with pytest.raises(UserError, match=r"tasks\.root"):
            read_tasks(TasksConfig(reader="ifeval_format", root=root), tmp_path / "cache")
