from dataclasses import replace

import pytest

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.schema import BudgetConfig, TasksConfig
from instruct_ablate.tasks.budget import ALL, check, check_shots, check_trainable, sample
from tests.conftest import make_task

TASKS = [make_task(f"task{n}", count=30) for n in range(12)]


def drawn(instances, tasks=None, seed=0, given=TASKS):
    budgeted = sample(given, BudgetConfig(instances, tasks), seed)
    return {task.name: {i.id for i in task.instances} for task in budgeted.tasks}


def test_instances_are_nested():
    small, middle, large = drawn(5), drawn(10), drawn(20)
    for name in small:
        assert len(small[name]) == 5
        assert small[name] < middle[name] < large[name]


def test_tasks_are_nested_and_keep_their_order():
    chosen = [drawn(2, tasks=n) for n in (1, 3, 12)]
    assert set(chosen[0]) < set(chosen[1]) < set(chosen[2])
    kept = [task.name for task in sample(TASKS, BudgetConfig(2, 3), 0).tasks]
    assert kept == sorted(kept, key=[task.name for task in TASKS].index)


def test_depends_on_seed_and_task_alone():
    assert drawn(5, seed=0) != drawn(5, seed=1)
    assert drawn(5, given=TASKS[3:][::-1]) == {
        name: ids for name, ids in drawn(5).items() if name in drawn(1, given=TASKS[3:])
    }
    positions = {tuple(sorted(int(i.split("-")[1]) for i in ids)) for ids in drawn(5).values()}
    assert len(positions) > 6, "tasks of the same size must not all draw the same positions"


def test_the_draw_is_fixed_for_good():
    assert sorted(drawn(3, given=TASKS[:1])["task0"]) == FIXED


def test_only_instances_change():
    for before, after in zip(TASKS, sample(TASKS, BudgetConfig(4), 0).tasks, strict=True):
        assert replace(after, instances=before.instances) == before


def test_answer_choices_follow_the_instances():
    task = make_task("p3", count=10)
    task = replace(task, answer_choices=tuple((i.id, ("a", "b")) for i in task.instances))
    (kept,) = sample([task], BudgetConfig(3), 0).tasks
    assert {identity for identity, _ in kept.answer_choices} == {i.id for i in kept.instances}


def test_zero_is_the_untuned_model():
    budgeted = sample(TASKS, BudgetConfig(0), 0)
    assert budgeted.tasks == ()
    assert budgeted.notes == ()


def test_more_than_exists_is_used_as_is_and_said():
    budgeted = sample(TASKS, BudgetConfig(31, 13), 0)
    assert [len(task.instances) for task in budgeted.tasks] == [30] * 12
    assert "has 12 training tasks; all are used" in budgeted.notes[0]
    assert "12 tasks have fewer and are used as they are: task0 (30)" in budgeted.notes[1]
    assert "and 7 more" in budgeted.notes[1]
    assert not sample(TASKS, BudgetConfig(30, 12), 0).notes


def test_negative_budgets_are_refused():
    with pytest.raises(UserErrors) as caught:
        sample(TASKS, BudgetConfig(-1, 0), 0)
    assert "instances_per_task=-1" in caught.value.faults[0]
    assert "data_budget.tasks=0" in caught.value.faults[1]


FIXED = ["task0-15", "task0-4", "task0-7"]


def test_of_many_short_tasks_five_are_named():
    for count, more in ((5, ""), (6, " and 1 more")):
        (note,) = sample(TASKS[:count], BudgetConfig(31), 0).notes
        assert note.endswith(f"task4 (30){more}")


def test_tasks_without_an_instance_train_nothing():
    full, empty = make_task("full"), make_task("empty", count=0)
    check_trainable([empty, full], TasksConfig("starter"))
    for tasks in ([], [empty]):
        with pytest.raises(UserError, match=r"nothing to train on: .*, tasks\.train_split=None\)"):
            check_trainable(tasks, TasksConfig("starter"))
    with pytest.raises(UserError, match=r"tasks\.include=\['a\*'\].*, tasks\.train_split=x"):
        check_trainable([], TasksConfig("starter", include=["a*"], train_split="x"))


def test_ends_of_budgets():
    for budget in (BudgetConfig(0), BudgetConfig(1, 1), BudgetConfig(8, None)):
        check(budget)
    with pytest.raises(
        UserError, match=r"^data_budget\.instances_per_task=-1 must be at least 0: 0 is the untuned"
    ):
        check(BudgetConfig(-1))
    with pytest.raises(UserError, match=r"data_budget\.tasks=0 must be at least 1"):
        check(BudgetConfig(1, 0))


def test_shots_of_test_tasks_need_as_many_instances():
    tasks = [make_task("three", count=3), make_task("one", count=1)]
    config = TasksConfig("starter", train_on="test_task", test_instances=2)
    check_shots(tasks, config, BudgetConfig(1))
    check_shots(tasks, config, BudgetConfig(ALL))
    check_shots(tasks[:1], config, BudgetConfig(3))
    check_shots(tasks, TasksConfig("starter"), BudgetConfig(9))
    with pytest.raises(
        UserError, match=r"beside the 2 tested ones, 1 tasks have fewer than .*=2 .*: one \(1\)\."
    ):
        check_shots(tasks, config, BudgetConfig(2))
    with pytest.raises(UserError, match="none"):
        check_shots([make_task("none", count=0)], config, BudgetConfig(ALL))
