"""Training tasks held out: always the same ones, never trained on, never tested, and refused where too few are left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.errors import UserError
from instruct_ablate.grid.checking.preflight import faults
from instruct_ablate.schema import BudgetConfig, Config, TasksConfig
from instruct_ablate.tasks.collection import check, read_tasks, reader
from instruct_ablate.tasks.sampling.budget import ALL, sample
from instruct_ablate.tasks.sampling.validation import held_out, held_out_line
from instruct_ablate.tasks.task import TaskCollection
from tests.conftest import make_task
from tests.standins import make_config

STARTER = TasksConfig("starter")


def names(tasks: Any) -> set[str]:
    return {task.name for task in tasks}


def test_tasks_held_out_are_neither_trained_on_nor_tested(tmp_path: Path) -> None:
    whole = read_tasks(STARTER, tmp_path)
    read = read_tasks(replace(STARTER, validation=3), tmp_path)
    assert len(read.validation) == 3
    assert names(read.validation) | names(read.train) == names(whole.train)
    assert not names(read.validation) & (names(read.train) | names(read.test))
    assert read.test == whole.test
    assert read.content_hash == whole.content_hash
    drawn = sample(read.train, BudgetConfig(ALL), seed=1).tasks
    assert names(drawn) == names(read.train), "the budget is of what remains"
    assert len({task.category for task in read.validation}) == 3
    assert not whole.validation


def test_which_ones_depends_on_names_alone_and_fewer_are_among_more() -> None:
    tasks = tuple(make_task(name) for name in "abcdefgh")
    given = TaskCollection("mine", tasks, (make_task("x"),), "hash")
    turned = replace(given, train=tasks[::-1])
    more = names(held_out(given, 4).validation)
    assert more == names(held_out(turned, 4).validation)
    assert names(held_out(given, 2).validation) < more
    assert held_out(given, 0) is given


def test_a_training_task_with_the_name_of_a_test_task_is_not_held_out() -> None:
    given = TaskCollection("mine", (make_task("a"), make_task("b")), (make_task("a"),), "hash")
    assert names(held_out(given, 1).validation) == {"b"}


@pytest.mark.parametrize("count", [2, 9])
def test_one_task_at_least_must_remain(count: int) -> None:
    given = TaskCollection("mine", (make_task("a"), make_task("b")), (make_task("x"),), "hash")
    with pytest.raises(UserError, match=rf"tasks.validation={count}: the collection has 2 training tasks"):
        held_out(given, count)
    empty = replace(given, train=(make_task("a"), make_task("b", 0)))
    with pytest.raises(UserError, match="one at least must remain"):
        held_out(empty, 1)


@pytest.mark.parametrize("name", ["p3", "hf_dataset"])
def test_readers_whose_tasks_share_rows_refuse_it(name: str) -> None:
    with pytest.raises(UserError, match=f"tasks.validation is set, but the reader '{name}' does not use it"):
        check(TasksConfig(name, validation=1))


def test_test_tasks_that_are_trained_on_leave_none_to_hold_out() -> None:
    with pytest.raises(UserError, match=r"tasks.train_on=test_task has none: leave one of the two out"):
        check(replace(STARTER, train_on="test_task", validation=1))


@reader
def own(config: TasksConfig) -> TaskCollection:
    return TaskCollection(
        "own", (make_task("a"), make_task("b")), (make_task("x"),), validation=(make_task("y"),)
    )


def test_a_reader_of_ones_own_holds_out_as_the_others(tmp_path: Path) -> None:
    config = TasksConfig(f"{__name__}.own")
    assert not read_tasks(config, tmp_path).validation
    assert len(read_tasks(replace(config, validation=1), tmp_path).validation) == 1


def test_it_counts_in_the_identity_of_a_trained_cell_alone(tmp_path: Path) -> None:
    def made(count: int, budget: int) -> Config:
        return make_config(
            tmp_path, tasks=replace(STARTER, validation=count), data_budget=BudgetConfig(budget)
        )

    trained = identify(made(2, 4))
    assert trained.hash != identify(made(0, 4)).hash != identify(made(3, 4)).hash
    assert trained.setting.get("tasks.validation") == 2
    assert identify(made(2, 0)).hash == identify(made(0, 0)).hash
    assert "tasks.validation" not in identify(made(0, 4)).counted


def test_the_preflight_refuses_too_many_and_lines_name_those_held_out(tmp_path: Path) -> None:
    config = make_config(tmp_path, tasks=replace(STARTER, validation=999))
    (fault,) = faults([config])
    assert fault.startswith("tasks.validation=999: the collection has ")
    read = read_tasks(replace(STARTER, validation=10), tmp_path)
    assert held_out_line(read).startswith(
        f"tasks.validation=10: of {len(read.train) + 10} training tasks held out: "
    )
    assert held_out_line(read).endswith(" and 2 more")
