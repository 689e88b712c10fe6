from dataclasses import replace

import pytest

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.grid.checking.preflight import faults
from instruct_ablate.schema import BudgetConfig, TasksConfig
from instruct_ablate.tasks.collection import check, read_tasks, reader
from instruct_ablate.tasks.sampling import few_shot
from instruct_ablate.tasks.sampling.budget import ALL, check_shots, sample
from instruct_ablate.tasks.task import Instance, TaskCollection
from tests.conftest import make_task


def config(**changes):
    return replace(TasksConfig(reader="starter", train_on="test_task", test_instances=20), **changes)


def inputs(task):
    return {one.input for one in task.instances}


def test_shots_are_of_the_test_tasks_and_apart_from_what_is_tested(tmp_path):
    usual = read_tasks(config(train_on="training_tasks"), tmp_path)
    read = read_tasks(config(), tmp_path)
    assert read.test == usual.test, "what is tested does not change"
    assert [task.name for task in read.train] == [task.name for task in read.test]
    for shots, tested in zip(read.train, read.test, strict=True):
        assert len(shots.instances) >= 50
        assert not inputs(shots) & inputs(tested)
        assert (shots.definition, shots.label_space) == (tested.definition, tested.label_space)


def test_budgets_are_shots_of_each_task_and_nested(tmp_path):
    read = read_tasks(config(test_tasks=3), tmp_path)
    few, more = (sample(read.train, BudgetConfig(count), seed=1).tasks for count in (4, 8))
    assert [len(task.instances) for task in few] == [4, 4, 4]
    assert all(inputs(one) < inputs(other) for one, other in zip(few, more, strict=True))


def test_repeated_inputs_and_choices_of_others_are_left_out():
    task = make_task(count=4)
    again = replace(task.instances[0], id="again", input=f" {task.instances[0].input}")
    pairs = tuple((one.id, ("a", "b")) for one in (*task.instances, again))
    task = replace(task, instances=(*task.instances, again), answer_choices=pairs)
    made = few_shot.parted(TaskCollection("mine", (), (task,)), config(test_instances=2))
    assert [one.id for one in made.train[0].instances] == [one.id for one in task.instances[2:4]]
    assert made.train[0].answer_choices == pairs[2:4]
    assert made.test[0].answer_choices == pairs[:2]
    assert "1 instance left out, with the input of" in made.notes[0]


def test_repeats_are_told_over_all_tasks_and_another_tasks_input_is_none():
    """A text that two tasks ask about differently is a repeat of neither; notes of the reading stay."""
    rows = {
        n: tuple(Instance(f"{n}-{i}", f"{n} {i}", ("a",)) for i in range(4)) for n in ("one", "two", "three")
    }
    tasks = [make_task(name, instances=instances) for name, instances in rows.items()]
    again = [replace(task.instances[0], id=f"again-{task.name}") for task in tasks]
    foreign = replace(tasks[1].instances[0], id="foreign")
    tasks[0] = replace(tasks[0], instances=(*tasks[0].instances, again[0], foreign))
    tasks[1] = replace(tasks[1], instances=(*tasks[1].instances, again[1]))
    made = few_shot.parted(
        TaskCollection("mine", (), tuple(tasks), notes=("read",)), config(test_instances=1)
    )
    assert [[one.id for one in task.instances] for task in made.train] == [
        ["one-1", "one-2", "one-3", "foreign"],
        ["two-1", "two-2", "two-3"],
        ["three-1", "three-2", "three-3"],
    ]
    assert made.notes[0] == "read"
    assert "2 instances left out, with the input of" in made.notes[1]


def test_keys_that_contradict_it_are_refused_together():
    with pytest.raises(UserErrors) as caught:
        check(config(test_instances=None, train_include=["starter0*"]))
    assert len(caught.value.faults) == 2
    with pytest.raises(UserError, match=r"unknown tasks.train_on 'tested'; did you mean 'test_task'"):
        check(config(train_on="tested"))
    with pytest.raises(
        UserErrors, match=r"tasks.train_on is set, but the reader 'hf_dataset' does not use it"
    ):
        check(TasksConfig(reader="hf_dataset", train_on="test_task"))


def test_too_few_instances_are_named():
    tasks = [make_task("task1", count=3), make_task("task2", count=9)]
    check_shots(tasks, config(), BudgetConfig(3))
    check_shots(tasks, config(), BudgetConfig(ALL))
    check_shots(tasks, config(train_on="training_tasks"), BudgetConfig(8))
    with pytest.raises(
        UserError, match=r"beside the 20 tested ones, 1 task has .* data_budget=8 .*task1 \(3\)"
    ):
        check_shots(tasks, config(), BudgetConfig(8))
    with pytest.raises(UserError, match=r"task1 \(0\)"):
        check_shots([make_task("task1", count=0)], config(), BudgetConfig(ALL))


def cell(tmp_path, *overrides):
    from instruct_ablate.configuration.typed_values import plain
    from tests.test_experiments import composed

    words = ["tasks=starter", "model=tiny_t5", "tasks.test_tasks=2", f"cache={tmp_path}", *overrides]
    return plain(composed(*words))


def test_a_grid_is_refused_before_it_starts_and_cells_are_told_apart(tmp_path):
    usual, shots = (
        cell(tmp_path, "data_budget='8'"),
        cell(tmp_path, "data_budget='8'", "tasks.train_on=test_task"),
    )
    assert faults([shots]) == []
    assert identify(usual).hash != identify(shots).hash
    assert "tasks.train_on" not in identify(usual).counted
    told = faults([cell(tmp_path, "data_budget='200'", "tasks.train_on=test_task")])
    assert any("tasks.train_on=test_task: beside the 20 tested ones, 2 tasks" in fault for fault in told)


@reader
def own(config):
    items = tuple(Instance(f"n{n}", str(n), ("odd" if n % 2 else "even",)) for n in range(10))
    return TaskCollection("parity", (), (make_task("parity", instances=items, label_space=("even", "odd")),))


def test_a_reader_of_ones_own(tmp_path):
    read = read_tasks(config(reader=f"{__name__}.own", test_instances=4), tmp_path)
    assert [len(side[0].instances) for side in (read.test, read.train)] == [4, 6]
