import hashlib
from dataclasses import replace
from itertools import pairwise

import pytest

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.schema import BudgetConfig, TasksConfig
from instruct_ablate.tasks.sampling.budget import (
    ALL,
    check,
    check_shots,
    check_trainable,
    hangs_on_seed,
    sample,
    unmet,
)
from instruct_ablate.tasks.task import Part
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


def test_the_draw_is_fixed_for_good_and_so_is_its_order():
    """Batches are drawn by place: the same instances in another order train other weights."""
    orders = [[i.id for i in sample(TASKS[:1], BudgetConfig(n), 0).tasks[0].instances] for n in (3, 30)]
    assert orders[0] == FIXED == orders[1][:3]
    (twice,) = sample(TASKS[:1], BudgetConfig(6, repeat=2), 0).tasks
    assert [i.id for i in twice.instances] == FIXED * 2


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


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"tasks": 13},
        {"total": 361},
        {"total": 360},
        {"instances_per_task": 30},
        {"instances_per_task": 62, "repeat": 2},
    ],
)
def test_what_will_not_be_met_is_known_without_drawing(keys):
    given = BudgetConfig(**{"instances_per_task": 31, **keys})
    drawn, known = sample(TASKS, given, 3).notes, unmet(TASKS, given)
    assert known == (drawn[:1] if given.tasks else drawn)
    assert unmet(TASKS, BudgetConfig(0)) == ()


def test_negative_budgets_are_refused():
    with pytest.raises(UserErrors) as caught:
        sample(TASKS, BudgetConfig(-1, 0), 0)
    assert "instances_per_task=-1" in caught.value.faults[0]
    assert "data_budget.tasks=0" in caught.value.faults[1]


FIXED = ["task0-4", "task0-7", "task0-15"]


def test_of_many_short_tasks_five_are_named():
    for count, more in ((5, ""), (6, " and 1 more")):
        (note,) = sample(TASKS[:count], BudgetConfig(31), 0).notes
        assert note.endswith(f"task4 (30){more}")


def test_tasks_without_an_instance_train_nothing():
    full, empty = make_task("full"), make_task("empty", count=0)
    check_trainable([empty, full], TasksConfig("starter"))
    for tasks in ([], [empty]):
        with pytest.raises(
            UserError, match=r"nothing to train on: .* \(tasks\.language=English, tasks\.split=default\)\."
        ):
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
        UserError, match=r"beside the 2 tested ones, 1 task has fewer than .*=2 .*: one \(1\)\."
    ):
        check_shots(tasks, config, BudgetConfig(2))
    with pytest.raises(UserError, match="none"):
        check_shots([make_task("none", count=0)], config, BudgetConfig(ALL))


GROUPED = [
    replace(make_task(f"{category}{n}", count=count), categories=(category,))
    for category, tasks, count in (("a", 6, 30), ("b", 3, 30), ("c", 1, 30), ("d", 4, 3))
    for n in range(tasks)
]


def budgeted(seed=0, given=GROUPED, **keys):
    return sample(given, BudgetConfig(**{"instances_per_task": 4, **keys}), seed)


def ids(drawn):
    return {(task.name, instance.id) for task in drawn.tasks for instance in task.instances}


@pytest.mark.parametrize("seed", range(3))
def test_categories_are_nested_by_seed(seed):
    chosen = [{task.category for task in budgeted(seed, categories=n).tasks} for n in (1, 2, 3, 4)]
    assert [len(one) for one in chosen] == [1, 2, 3, 4]
    assert chosen[0] < chosen[1] < chosen[2] < chosen[3]
    assert ids(budgeted(seed, categories=4)) == ids(budgeted(seed))
    assert len({frozenset(task.category for task in budgeted(s, categories=2).tasks) for s in range(9)}) > 1


@pytest.mark.parametrize("categories", [1, 2, 3, 4])
def test_tasks_of_so_many_categories_are_drawn_by_turns(categories):
    for count in (1, 2, 3, 4):
        made = {task.category for task in budgeted(categories=categories, tasks=count).tasks}
        assert len(made) == min(count, categories)
    drawn = [ids(budgeted(categories=categories, tasks=count)) for count in (1, 2, 4)]
    assert drawn[0] <= drawn[1] <= drawn[2]


def first_by_hash(seed, names, count):
    """The names that a draw begins with: a task's own, or "category" and its category's."""
    rank = {name: hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=16).digest() for name in names}
    return set(sorted(names, key=rank.__getitem__)[:count])


@pytest.mark.parametrize("seed", range(4))
def test_which_tasks_and_categories_are_drawn_is_fixed_for_good(seed):
    for count in (1, 3, 7):
        drawn_tasks = {task.name for task in budgeted(seed, tasks=count).tasks}
        assert drawn_tasks == first_by_hash(seed, [task.name for task in GROUPED], count)
    categories = {f"category\0{task.category}" for task in GROUPED}
    for count in (1, 2, 3):
        there = {f"category\0{task.category}" for task in budgeted(seed, categories=count).tasks}
        assert there == first_by_hash(seed, sorted(categories), count)


def test_what_categories_cannot_give_is_noted():
    assert budgeted(categories=9).notes[0].startswith("data_budget.categories=9: the training tasks have 4")
    assert "categories have 6 training tasks" in budgeted(given=GROUPED[:6], categories=1, tasks=7).notes[0]


@pytest.mark.parametrize("seed", [0, 3, 4])  # short tasks are drawn first, among others, or last
def test_a_total_is_met_evenly_and_nested(seed):
    drawn = [budgeted(seed, total=n) for n in (1, 5, 14, 60, 100, 200)]
    for total, one in zip((1, 5, 14, 60, 100, 200), drawn, strict=True):
        sizes = [len(task.instances) for task in one.tasks]
        assert sum(sizes) == total
        wide = [len(task.instances) for task in one.tasks if task.category != "d"]
        assert not wide or max(wide) - min(wide) <= 1
        assert one.notes == ()
    for small, large in pairwise(drawn):
        assert ids(small) < ids(large)
    assert {task.name: len(task.instances) for task in drawn[-1].tasks}["d0"] == 3
    assert ids(budgeted(seed, total=60, instances_per_task=1)) == ids(drawn[3]), "a total stands by itself"


@pytest.mark.parametrize("total", [1, 5, 17])
def test_what_a_total_leaves_over_goes_to_the_tasks_drawn_first(total):
    spread = {task.name: len(task.instances) for task in sample(TASKS, BudgetConfig(8, total=total), 3).tasks}
    first = {task.name for task in sample(TASKS, BudgetConfig(1, tasks=total % 12), 3).tasks}
    assert {name for name, count in spread.items() if count == total // 12 + 1} == first


def weighed(sizes, total, **keys):
    """How many instances each part gets: its weight and how many it has, by its name."""
    given = [
        replace(make_task(name, count=there), part=Part(name, weight))
        for name, (weight, there) in sizes.items()
    ]
    budgeted = sample(given, BudgetConfig(8, total=total, **keys), 0)
    return {task.name: len({i.id for i in task.instances}) for task in budgeted.tasks}


@pytest.mark.parametrize("total", [1, 2, 3, 7, 12, 23, 40])
def test_weights_divide_a_total_as_sainte_lague_does(total):
    """A seat at a time to the largest of weight / 1, weight / 3, weight / 5, ..."""
    weights = {"a": 5.0, "b": 7.0, "c": 2.5}
    quotients = sorted(((-w / (2 * k + 1), name) for name, w in weights.items() for k in range(99)))[:total]
    expected = {name: n for name in weights if (n := [one for _, one in quotients].count(name))}
    assert weighed({name: (weight, 99) for name, weight in weights.items()}, total) == expected
    assert weighed({name: (weight, 99) for name, weight in weights.items()}, 2 * total, repeat=2) == expected


@pytest.mark.parametrize("total", [30, ALL])
def test_a_total_larger_than_all_there_is_gives_all_of_it_whatever_the_weights(total):
    assert weighed({"a": (5.0, 1), "b": (7.0, 4)}, total) == {"a": 1, "b": 4}
    assert weighed({"a": (5.0, 1), "b": (7.0, 4), "c": (0.0, 9)}, total) == {"a": 1, "b": 4}


def test_a_part_of_little_weight_gives_all_it_has_too():
    assert weighed({"a": (0.1, 20), "b": (10.0, 1)}, ALL) == {"a": 20, "b": 1}


def test_a_total_is_the_same_for_any_number_of_categories_and_tasks():
    for categories in (1, 2, 3, 4):
        assert len(ids(budgeted(seed=1, categories=categories, tasks=2, total=4))) == 4
    assert budgeted(total=10_000).notes == ("data_budget.total=10000: there are 312",)


@pytest.mark.parametrize("keys", [{}, {"tasks": 2}, {"categories": 1}, {"total": 16}])
def test_whether_the_seed_decides_how_many_are_drawn(keys):
    counts = {sum(len(task.instances) for task in budgeted(seed, **keys).tasks) for seed in range(6)}
    assert hangs_on_seed(BudgetConfig(4, **keys)) == (len(counts) > 1)


@pytest.mark.parametrize("keys", [{"instances_per_task": 8}, {"total": 24}])
def test_repeated_examples_are_fewer_and_the_number_shown_stays(keys):
    drawn = {n: budgeted(given=GROUPED[:10], repeat=n, **keys) for n in (1, 2, 4)}
    shown = {n: sum(len(task.instances) for task in one.tasks) for n, one in drawn.items()}
    assert len(set(shown.values())) == 1
    assert [len(ids(drawn[n])) * n for n in (1, 2, 4)] == [shown[1]] * 3
    assert ids(drawn[4]) < ids(drawn[2]) < ids(drawn[1])


def test_choices_of_repeated_instances_stand_once():
    task = make_task("p3", count=10)
    task = replace(task, answer_choices=tuple((i.id, ("a", "b")) for i in task.instances))
    (kept,) = budgeted(given=[task], repeat=2).tasks
    assert len(kept.instances) == 4
    assert len(kept.answer_choices) == 2


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"repeat": 3}, "data_budget=4 is no multiple of it"),
        ({"repeat": 3, "total": 10}, "data_budget.total=10 is no multiple of it.*give 12"),
        ({"repeat": 2, "instances_per_task": ALL}, "no number to hold fixed"),
        ({"repeat": 0}, "data_budget.repeat=0 must be at least 1"),
        ({"total": 0}, "data_budget.total=0 must be at least 1"),
        ({"categories": 0}, "data_budget.categories=0 must be at least 1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(keys, message):
    with pytest.raises(UserError, match=message):
        check(BudgetConfig(**{"instances_per_task": 4, **keys}))
    check(BudgetConfig(0, repeat=3))  # the untuned model of such a grid


def test_shots_of_the_test_tasks_are_counted_before_they_are_repeated():
    config = TasksConfig(reader="starter", train_on="test_task")
    check_shots([make_task("few", count=2)], config, BudgetConfig(4, repeat=2))
    repeated = budgeted(given=[make_task("few", count=1)], repeat=2).tasks
    assert len(repeated[0].instances) == 2
    with pytest.raises(UserError, match="fewer than data_budget=2 instances"):
        check_shots(repeated, config, BudgetConfig(4, repeat=2))
