import itertools

import pytest

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.intake.source import Parsed
from instruct_ablate.tasks.sampling.selection import check, nearly, select, spread, unmet_numbers
from instruct_ablate.tasks.sampling.selection import test_subset as subset
from instruct_ablate.tasks.store import Stored
from tests.conftest import make_task


def stored(name, category="A", test=True, languages=()):
    return Stored(Parsed(make_task(name, categories=(category,)), test, languages), name)


def config(**changes):
    return TasksConfig(reader="starter", **changes)


TASKS = [stored(f"t{n}", "ABC"[n % 3]) for n in range(9)] + [stored("train", "D", test=False)]


def names(kept):
    return [item.parsed.task.name for item in kept]


def test_numbers_of_test_tasks_that_are_not_met_are_told_from_other_notes():
    _, notes = select(
        [*TASKS, stored("hindi", languages=(("Hindi",), ("Hindi",)))],
        config(test_tasks=99, language="English"),
    )
    assert len(notes) == 2
    (line,) = unmet_numbers(notes)
    assert line == "tasks.test_tasks=99: the collection has 9 test tasks; all are used"
    of_part = "own: tasks.parts.own.test_tasks=99: the collection has 9 test tasks; all are used"
    assert unmet_numbers([of_part, "task1: 3 rows left out"]) == [of_part]


def test_all_are_kept_by_default():
    kept, notes = select(TASKS, config())
    assert names(kept) == names(TASKS)
    assert notes == ()


def test_categories():
    kept, notes = select(TASKS, config(categories=["A"]))
    assert names(kept) == ["t0", "t3", "t6"]
    assert "no training task" in notes[0]
    with pytest.raises(UserErrors, match=r"unknown category 'a'.*Allowed: A, B, C, D"):
        select(TASKS, config(categories=["a"]))


def test_nothing_left_to_test_is_refused():
    with pytest.raises(UserError, match=r"no test task is left.*categories=\['D'\]"):
        select(TASKS, config(categories=["D"]))


def test_language_of_input_output_and_instruction():
    english, mixed = (("English",),) * 3, (("English", "French"), ("English",), ())
    french = (("French",), ("English",), ("English",))
    tasks = [stored("e", languages=english), stored("m", languages=mixed), stored("f", languages=french)]
    kept, notes = select(tasks, config())
    assert names(kept) == ["e", "m"]
    assert "1 task in other languages" in notes[0]
    assert len(select(tasks, config(language=None))[0]) == 3


def test_test_tasks_are_spread_over_categories_and_nested():
    tasks = [item.parsed.task for item in TASKS if item.parsed.test]
    chosen = [spread(tasks, count) for count in range(1, 10)]
    assert all(small < large for small, large in itertools.pairwise(chosen))
    category = {task.name: task.category for task in tasks}
    assert {category[name] for name in chosen[2]} == {"A", "B", "C"}
    assert sorted(category[name] for name in chosen[5]) == ["A", "A", "B", "B", "C", "C"]
    assert spread(tasks[::-1], 4) == spread(tasks, 4)


def test_number_of_test_tasks_leaves_training_tasks_alone():
    kept, notes = select(TASKS, config(test_tasks=2))
    assert len(kept) == 3
    assert kept[-1].parsed.task.name == "train"
    assert notes == ()
    kept, notes = select(TASKS, config(test_tasks=50))
    assert len(kept) == 10
    assert notes == ("tasks.test_tasks=50: the collection has 9 test tasks; all are used",)


def test_where_test_tasks_are_trained_on_no_other_is_kept():
    kept, notes = select(TASKS, config(train_on="test_task", test_instances=2, test_tasks=9))
    assert names(kept) == names(TASKS)[:9]
    assert notes == (), "that there is no training task is as it should be"


def test_numbers_below_one_are_refused_together():
    with pytest.raises(UserErrors) as caught:
        check(config(test_tasks=0, test_instances=-1))
    assert len(caught.value.faults) == 2


def test_one_side_alone_is_filtered_where_that_is_asked():
    tasks = [*TASKS, stored("other", "A", test=False)]
    kept, _ = select(tasks, config(test_categories=["A"]))
    assert names(kept) == ["t0", "t3", "t6", "train", "other"]
    assert names(select(tasks, config(train_categories=["A"]))[0]) == [*(f"t{n}" for n in range(9)), "other"]
    assert names(select(tasks, config(test_include=["t[01]"]))[0]) == ["t0", "t1", "train", "other"]
    assert names(select(tasks, config(train_include=["o*"], test_include=["t8"]))[0]) == ["t8", "other"]
    assert names(select(tasks, config(categories=["A"], test_include=["t0"]))[0]) == ["t0", "other"]


def test_words_that_fit_no_task_of_their_side_are_refused_together():
    with pytest.raises(UserErrors) as caught:
        select(TASKS, config(test_categories=["D"], train_categories=["A"], test_include=["train"]))
    category, other, pattern = sorted(caught.value.faults)
    assert "tasks.test_categories: unknown category 'D'. Allowed: A, B, C" in category
    assert "tasks.test_include: the pattern 'train' matches no test task" in other
    assert "tasks.train_categories: unknown category 'A'" in pattern


def test_which_tasks_stand_for_all_is_fixed_for_good():
    tasks = [item.parsed.task for item in TASKS if item.parsed.test]
    assert sorted(spread(tasks, 4)) == FIXED


FIXED = ["t2", "t3", "t4", "t6"]


def test_one_is_the_least_and_goes():
    check(config(test_tasks=1, test_instances=1))
    with pytest.raises(UserErrors, match=r"test_instances=0: give 1 or more"):
        check(config(test_instances=0))
    assert select(TASKS, config(test_tasks=9))[1] == (), "as many as there are is nothing to note"


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("starte014_*", "starter014_animals"),
        ("starter14_*", "starter014_animals"),
        ("starter014_animal", "starter014_animals"),
        ("starter023_fcat", "starter023_fact"),
        ("starter999_*", None),
        ("starter013_*", None),
        ("starter014_xyzw*", None),
        ("*", None),
    ],
)
def test_a_pattern_suggests_only_a_task_that_it_nearly_fits(pattern, meant):
    """Before: of starter999_* it was starter023_fact that was asked for."""
    found = nearly(pattern, ["starter014_animals", "starter023_fact", "starter031_plant"])
    assert found == (f"; did you mean {meant!r}?" if meant else "")


def test_patterns_of_training_tasks_name_their_side():
    with pytest.raises(
        UserErrors,
        match=r"tasks.train_include: the pattern 'trian' matches no training task; did you mean 'train'",
    ):
        select(TASKS, config(train_include=["trian"]))
    with pytest.raises(UserError, match=r"no test task is left: tasks.include="):
        select(TASKS[-1:], config(include=["train"]))


def test_what_left_no_test_task_out_is_not_named():
    """Data without languages: `tasks.language` stands at its default, and their reader does not take it."""
    with pytest.raises(
        UserError, match=r"no test task is left: the data hold 1 task to train on.*tasks.test_split"
    ):
        select(TASKS[-1:], config())
    french = stored("f", languages=(("French",),) * 3)
    with pytest.raises(UserError, match=r"no test task is left: tasks.language=English. Widen"):
        select([french], config())


def test_the_exactly_labelled_tasks():
    wanted = subset("exactly_labelled")
    assert len(wanted) == 57
    assert "task304_numeric_fused_head_resolution" not in wanted
    first, second = sorted(wanted)[:2]
    items = [stored(first), stored("task304_numeric_fused_head_resolution"), stored(second), TASKS[-1]]
    kept, notes = select(items, config(test_subset="exactly_labelled"))
    assert names(kept) == [first, second, "train"]
    assert "55 of 57 tasks are not there" in notes[0]


def test_the_57_of_the_notebook(shared):
    import json

    split = json.loads((shared / "kung_peng/split_119.json").read_text())
    assert subset("exactly_labelled") == set(split["cls_exact57"])
