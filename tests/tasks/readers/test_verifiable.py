from __future__ import annotations

from collections import Counter

import pytest

from instruct_ablate.constraints import constraints_of, kinds
from instruct_ablate.errors import UserErrors
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.metrics import load_metrics
from instruct_ablate.metrics.constraints import ALL
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import check, read_tasks

CONFIG = TasksConfig(reader="verifiable", test_instances=None)


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return read_tasks(CONFIG, tmp_path_factory.mktemp("cache"))


def test_three_hundred_requests_of_twenty_five_kinds(collection):
    instances = [one for task in collection.test for one in task.instances]
    assert len(instances) == 300
    assert len({one.input for one in instances}) == 300
    found = [constraints_of(one.references) for one in instances]
    assert Counter(map(len, found)) == {1: 150, 2: 90, 3: 60}
    assert {one.kind for each in found for one in each} == set(kinds())
    assert {task.kind for task in collection.test} == {"generation"}
    assert collection.notes == ()


def test_a_task_has_as_many_constraints_in_each_request(collection):
    for task in collection.test:
        shapes = {tuple(c.kind for c in constraints_of(one.references)) for one in task.instances}
        assert len(shapes) == 1, task.name


def test_the_starters_training_tasks_are_trained_on(collection, tmp_path):
    starter = read_tasks(TasksConfig(reader="starter"), tmp_path)
    assert collection.train == starter.train
    assert not {task.name for task in starter.test} & {task.name for task in collection.test}


def test_tasks_are_selected_on_either_side(tmp_path):
    config = TasksConfig(
        reader="verifiable",
        test_include=["*_json", "*_title"],
        train_include=["starter00*"],
        test_instances=2,
    )
    chosen = read_tasks(config, tmp_path)
    assert [len(task.instances) for task in chosen.test] == [2, 2]
    assert all(task.name.startswith("starter00") for task in chosen.train)
    assert (
        read_tasks(TasksConfig(reader="verifiable", test_categories=["Two rules"]), tmp_path)
        .test[0]
        .instances
    )
    with pytest.raises(UserErrors, match=r"tasks\.columns is set"):
        check(TasksConfig(reader="verifiable", columns={"input": "a"}))


def test_the_choice_brings_longer_answers_and_its_metrics():
    config = compose_config(["tasks=verifiable"])
    assert config.prompt.max_target_length == 256
    assert config.tasks.test_instances is None
    assert {metric.name for metric in load_metrics(config.evaluation.metrics)} >= set(ALL)
    other = compose_config(["tasks=verifiable", "prompt=plain", "prompt.max_target_length=64"])
    assert (other.prompt.template, other.prompt.max_target_length) == ("plain", 64)


def test_as_a_part_of_a_mixture_it_brings_them_too(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mixed.yaml").write_text(
        "# @package _global_\ndefaults:\n  - /tasks@tasks.parts.rules: verifiable\n"
        "  - /tasks@tasks.parts.starter: starter\n  - override /tasks: mixture\ntasks:\n  test_parts: [rules]\n"
    )
    config = compose_config(["experiment=mixed", f"hydra.searchpath=[file://{tmp_path}]"])
    assert config.prompt.max_target_length == 256
    assert config.evaluation.metrics == ["prompt_level_strict"]
    mixed = read_tasks(config.tasks, tmp_path / "cache")
    assert (
        sum(len(constraints_of(one.references)) > 0 for task in mixed.test for one in task.instances) == 300
    )
