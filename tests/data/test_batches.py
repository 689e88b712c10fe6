from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_ablate.data.batches import Schedule, deal, pack, pack_padded, runs, schedule, share
from instruct_ablate.errors import UserError
from instruct_ablate.schema import DataConfig, TrainerConfig
from tests.left_out import left_out

TASKS = np.repeat(np.arange(5), [8, 11, 16, 3, 7])


def flat(steps: list[np.ndarray]) -> list[int]:
    return np.concatenate(steps).tolist()


def test_an_epoch_sees_every_example_once_in_steps_of_exact_size() -> None:
    steps = Schedule(45, 16, 1.0, seed=3).order(0)
    assert [len(step) for step in steps] == [16, 16, 13]
    assert sorted(flat(steps)) == list(range(45))


def test_order_depends_on_seed_and_epoch_alone() -> None:
    one = Schedule(45, 16, 1.0, seed=3)
    assert flat(one.order(1)) == flat(Schedule(45, 16, 9.0, seed=3, max_steps=7).order(1))
    assert flat(one.order(0)) != flat(one.order(1))
    assert flat(one.order(0)) != flat(replace(one, seed=4).order(0))
    # Another batch size cuts the same order elsewhere.
    assert flat(one.order(0)) == flat(replace(one, batch_size=5).order(0))


def test_the_order_is_the_same_on_every_machine() -> None:
    assert flat(Schedule(8, 8, 1.0, seed=0).order(0)) == [3, 2, 1, 6, 0, 7, 4, 5]


@pytest.mark.parametrize(("epochs", "steps"), [(1.0, 3), (2.0, 6), (0.5, 2), (0.01, 1), (1 / 3, 1)])
def test_steps_of_a_fit(epochs: float, steps: int) -> None:
    assert Schedule(45, 16, epochs, seed=0).steps == steps


def test_max_steps_goes_before_epochs() -> None:
    assert Schedule(45, 16, 1.0, seed=0, max_steps=100).steps == 100


def test_groups_of_one_task_stand_together() -> None:
    grouped = Schedule(45, 16, 1.0, seed=1, tasks=TASKS, group_size=8)
    steps = grouped.order(0)
    assert sorted(flat(steps)) == list(range(45))
    assert [len(step) for step in steps] == [16, 16, 13]
    # Four whole groups of eight fill two of the steps.
    counts = [sorted(np.unique(TASKS[step], return_counts=True)[1].tolist()) for step in steps]
    assert sum(count in ([8, 8], [16]) for count in counts) == 2
    assert flat(steps) != flat(grouped.order(1))


def test_groups_are_drawn_anew_each_epoch() -> None:
    grouped = Schedule(16, 16, 1.0, seed=1, tasks=np.zeros(16, dtype=np.int64), group_size=4)
    first, second = (
        {frozenset(grouped.order(epoch)[0][start : start + 4].tolist()) for start in range(0, 16, 4)}
        for epoch in (0, 1)
    )
    assert first != second


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("processes", [1, 2, 3, 20])
def test_processes_share_a_step_without_overlap(processes: int, grouped: bool) -> None:
    lengths = np.arange(100, 0, -1)
    step = np.arange(10, 26)
    parts = [share(step, lengths, rank, processes, grouped) for rank in range(processes)]
    assert sorted(np.concatenate(parts).tolist()) == step.tolist()


def test_processes_get_about_as_many_tokens() -> None:
    lengths = np.random.default_rng(0).integers(10, 1000, 128)
    parts = [lengths[share(np.arange(128), lengths, rank, 4, False)].sum() for rank in range(4)]
    assert max(parts) / min(parts) < 1.05


def test_runs_bring_a_task_together() -> None:
    found = runs(np.array([0, 20, 1, 21, 9]), TASKS)
    assert [run.tolist() for run in found] == [[0, 1], [9], [20, 21]]
    assert runs(np.empty(0, dtype=np.int64), TASKS) == []


@given(st.lists(st.integers(1, 900), max_size=60), st.integers(1, 2000))
def test_packing_keeps_every_unit_and_the_limit(costs: list[int], limit: int) -> None:
    batches = pack(costs, limit)
    assert sorted(unit for batch in batches for unit in batch) == list(range(len(costs)))
    for batch in batches:
        assert len(batch) == 1 or sum(costs[unit] for unit in batch) <= limit


def test_packing_is_even() -> None:
    costs = [100] * 41
    assert [len(batch) for batch in pack(costs, 4000)] == [21, 20]
    assert pack([], 10) == []


@given(st.lists(st.integers(1, 900), max_size=60), st.integers(1, 2000))
def test_padded_batches_keep_the_limit(lengths: list[int], limit: int) -> None:
    batches = pack_padded(lengths, limit)
    assert sorted(unit for batch in batches for unit in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[unit] for unit in batch) <= limit


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_units_are_dealt_out_whole_and_evenly(processes: int) -> None:
    costs = [7, 1, 9, 3, 3, 8, 2, 6]
    dealt = deal(costs, processes)
    assert len(dealt) == processes
    assert sorted(unit for units in dealt for unit in units) == list(range(8))
    filled = [sum(costs[unit] for unit in units) for units in dealt]
    assert max(filled) - min(filled) <= max(costs) - min(costs)
    assert max(filled) <= sum(costs) / processes + max(costs)


def test_schedule_follows_the_configuration() -> None:
    made = schedule(TrainerConfig(batch_size=4, epochs=2), DataConfig(), 7, TASKS)
    assert (made.examples, made.batch_size, made.steps, made.seed, made.tasks) == (45, 4, 24, 7, None)
    grouped = schedule(TrainerConfig(), DataConfig(grouping="task", group_size=3), 7, TASKS)
    assert grouped.tasks is TASKS
    assert grouped.group_size == 3
    assert schedule(TrainerConfig(batch_size=4, epochs=2), DataConfig(grouping="prefix"), 7, TASKS) == made


@pytest.mark.parametrize(
    ("trainer", "data", "message"),
    [
        (TrainerConfig(batch_size=0), DataConfig(), "trainer.batch_size=0"),
        (TrainerConfig(max_steps=0), DataConfig(), "trainer.max_steps=0"),
        (TrainerConfig(epochs=0), DataConfig(), "trainer.epochs=0.*untuned"),
        (TrainerConfig(), DataConfig(group_size=0), "data.group_size=0"),
        (TrainerConfig(), DataConfig(grouping="tasks"), "unknown data.grouping 'tasks'.*none, prefix, task"),
    ],
)
def test_bad_settings_are_refused(trainer: TrainerConfig, data: DataConfig, message: str) -> None:
    with pytest.raises(UserError, match=message):
        schedule(trainer, data, 0, TASKS)


def test_what_is_left_out() -> None:
    assert left_out(Schedule) == {"group_size": 1}
