"""The everyday questions that the package ships: all of them read, for tests alone, right answers among the choices."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.disk.json_objects import load_json
from instruct_ablate.errors import UserError
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import check, read_tasks
from instruct_ablate.tasks.readers.everyday import FILE


def test_the_shipped_questions_are_eighty_with_four_choices_each(tmp_path: Path) -> None:
    read = read_tasks(TasksConfig("everyday", test_instances=None), tmp_path)
    assert [len(task.instances) for task in read.test] == [10] * 8
    assert not read.train
    ids = [one.id for task in read.test for one in task.instances]
    assert len(set(ids)) == 80
    for task in read.test:
        assert task.kind == "classification"
        choices = dict(task.answer_choices)
        for one in task.instances:
            assert len(choices[one.id]) == len(set(choices[one.id])) == 4
            assert one.references[0] in choices[one.id]
            assert list(choices[one.id]) == sorted(choices[one.id]), "of equal ones the first is chosen"


def test_a_question_has_its_own_answer_and_its_others(tmp_path: Path) -> None:
    """Read anew from the file: a choice too many, or another question's answer, would move every score."""
    read = read_tasks(TasksConfig("everyday", test_instances=None), tmp_path)
    found = {one.id: (one.input, one.references) for task in read.test for one in task.instances}
    choices = {key: set(texts) for task in read.test for key, texts in dict(task.answer_choices).items()}
    for task in load_json(FILE.read_bytes())["tasks"]:
        for one in task["instances"]:
            assert found[one["id"]] == (one["question"], (one["answer"],))
            assert choices[one["id"]] == {one["answer"], *one["others"]}


def test_the_first_choice_of_the_alphabet_is_no_good_guess(tmp_path: Path) -> None:
    read = read_tasks(TasksConfig("everyday", test_instances=None), tmp_path)
    places = Counter(
        dict(task.answer_choices)[one.id].index(one.references[0])
        for task in read.test
        for one in task.instances
    )
    assert set(places) == {0, 1, 2, 3}
    assert max(places.values()) <= 80 / 4 * 1.5


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ({"include": ["everyday05*"]}, ["everyday05_space"]),
        ({"include": ["everyday05*", "*_time"]}, ["everyday05_space", "everyday06_time"]),
        ({"test_categories": ["Words"]}, ["everyday03_opposites", "everyday04_meanings"]),
        ({"test_tasks": 1, "test_categories": ["Time"]}, ["everyday06_time"]),
    ],
)
def test_tasks_are_selected_as_those_of_other_readers(
    keys: dict[str, Any], names: list[str], tmp_path: Path
) -> None:
    read = read_tasks(TasksConfig("everyday", test_instances=3, **keys), tmp_path)
    assert [task.name for task in read.test] == names
    assert {len(task.instances) for task in read.test} == {3}


def test_include_is_none_of_the_cells_before_and_narrows_the_same_cache(tmp_path: Path) -> None:
    """Before: it was accepted, and all eighty questions were asked under a setting that said otherwise."""
    whole, some = (
        read_tasks(TasksConfig("everyday", include=include), tmp_path) for include in ([], ["*_time"])
    )
    assert [len(read.test) for read in (whole, some)] == [8, 1]
    assert whole.content_hash != some.content_hash
    assert read_tasks(TasksConfig("everyday"), tmp_path).content_hash == whole.content_hash


def test_a_pattern_that_fits_nothing_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tasks.include: the pattern 'everyday06_tine' .*everyday06_time"):
        read_tasks(TasksConfig("everyday", include=["everyday05*", "everyday06_tine"]), tmp_path)


@pytest.mark.parametrize("keys", [{"root": "somewhere"}, {"train_include": ["*"]}, {"labels": ["a"]}])
def test_keys_that_it_does_not_read_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(keys))):
        check(TasksConfig("everyday", **keys))
