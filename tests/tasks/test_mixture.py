"""Mixtures: parts as they are alone, names kept apart, weights of a total, one of them left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.run.stages import Words
from instruct_ablate.cell.run.training import prompts_in_training
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.setting.keys import NEUTRAL
from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.grid.checking.preflight import faults
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.grid.planning.estimate import Estimator
from instruct_ablate.schema import BudgetConfig, Config, InstructionConfig, PromptConfig, TasksConfig
from instruct_ablate.tasks import mixture
from instruct_ablate.tasks.collection import check, everything, read_tasks
from instruct_ablate.tasks.sampling.budget import sample
from instruct_ablate.tasks.sampling.order import order_of_parts
from instruct_ablate.tasks.task import Task, TaskCollection
from tests.conftest import make_task

STARTER = {
    "reader": "starter",
    "train_include": ["starter01*", "starter02[0-4]*"],
    "test_tasks": 3,
    "test_instances": 5,
}
YES_NO = {
    "reader": "starter",
    "train_include": ["starter014_*", "starter023_*"],
    "test_include": ["starter102_*"],
    "test_instances": 4,
}
OWN = "instruction,input,output\nSay it.,a,b\nSay it.,c,d\nSay it.,e,f\n"


def tasks(**keys: Any) -> TasksConfig:
    return TasksConfig(**{"reader": "mixture", "parts": {"all": STARTER, "few": YES_NO}, **keys})


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_parts_are_what_they_are_alone(cache: Path) -> None:
    mixed = read_tasks(tasks(), cache)
    for name, part in mixture.parts(tasks()).items():
        alone = read_tasks(part, cache)
        for side, theirs in ((mixed.train, alone.train), (mixed.test, alone.test)):
            own = [task for task in side if task.category.startswith(f"{name}: ")]
            assert [task.definition for task in own] == [task.definition for task in theirs]
            assert [tuple(task.instances) for task in own] == [tuple(task.instances) for task in theirs]
            assert [task.label_space for task in own] == [task.label_space for task in theirs]


def test_names_that_two_parts_have_are_kept_apart(cache: Path) -> None:
    mixed = read_tasks(tasks(), cache)
    for side in (mixed.train, mixed.test):
        names = [task.name for task in side]
        assert len(set(names)) == len(names)
    doubled = [task.name for task in mixed.train if task.name.startswith("starter014_")]
    assert [name.rpartition(" ")[2] for name in doubled] == ["(all)", "(few)"]
    assert sum(task.name.endswith(")") for task in mixed.train) == 4, "others keep their names"


def test_a_parts_own_splits_share_a_name_and_keep_every_category() -> None:
    """A data set's training and test split are one task; another part's task of that name makes it two."""
    own = make_task("reviews", categories=("Films", "Opinion"))
    made = {
        "one": TaskCollection("x", (own, make_task("books")), (own,), order="0f"),
        "two": TaskCollection("x", (make_task("books"),), (make_task("music"),), order="usual"),
    }
    config = tasks(parts={name: {"reader": "starter", "root": name} for name in made}, leave_out="two")
    mixed = mixture.read(config, lambda part: made[str(part.root)])
    assert [task.name for task in mixed.train] == ["reviews", "books (one)"]
    assert [task.name for task in mixed.test] == ["reviews", "music"]
    assert mixed.train[0].categories == mixed.test[0].categories == ("one: Films", "one: Opinion")
    assert mixed.order == order_of_parts({"one": "0f", "two": "usual"}), (
        "of all parts, whichever are left out"
    )


def test_a_name_made_of_a_part_that_another_task_has_is_refused(cache: Path) -> None:
    """Rows of predictions, tables and pairs know a task by its name: two of one name would be one task."""
    some = read_tasks(TasksConfig(**YES_NO), cache)

    def mixed(**parts: Sequence[str]) -> list[str]:
        collections = {
            name: replace(some, train=tuple(replace(some.train[0], name=one) for one in tasks), test=())
            for name, tasks in parts.items()
        }
        given = iter(collections.values())
        read = mixture.read(tasks(parts=dict.fromkeys(parts, STARTER)), lambda _: next(given))
        return [task.name for task in read.train]

    wanted = r"'films' of many and 'films \(many\)' of few would both be called 'films \(many\)'. Give the part many"
    with pytest.raises(UserError, match=wanted):
        mixed(few=["films", "films (many)"], many=["films", "books"])
    with pytest.raises(UserError, match="Give the part many"):
        mixed(many=["films", "books"], few=["films", "films (many)"])
    names = mixed(few=["films", "films (many)"], more=["films", "books"])
    assert sorted(names) == ["books", "films (few)", "films (many)", "films (more)"]


def test_the_content_is_that_of_all_parts_whatever_is_trained_on(cache: Path) -> None:
    whole = read_tasks(tasks(), cache).content_hash
    assert read_tasks(tasks(leave_out="few", weights={"all": 2.0}), cache).content_hash == whole
    assert read_tasks(tasks(parts={"few": YES_NO, "all": STARTER}), cache).content_hash == whole
    assert read_tasks(tasks(parts={"all": STARTER}), cache).content_hash != whole
    assert read_tasks(tasks(parts={"all": YES_NO, "few": STARTER}), cache).content_hash != whole
    with pytest.raises(UserError, match=r"tasks\.sha256"):
        read_tasks(tasks(sha256="0" * 64), cache)


def test_a_part_left_out_is_tested_and_not_trained_on(cache: Path) -> None:
    mixed = read_tasks(tasks(leave_out="all"), cache)
    assert {task.category.partition(":")[0] for task in mixed.train} == {"few"}
    assert {task.category.partition(":")[0] for task in mixed.test} == {"all", "few"}
    only = read_tasks(tasks(test_parts=["few"]), cache)
    assert {task.category.partition(":")[0] for task in only.test} == {"few"}
    assert len(only.train) > len(mixed.train)


def shares(config: TasksConfig, total: int, cache: Path, **budget: Any) -> Counter[str]:
    return shown(read_tasks(config, cache).train, total, **budget)


def shown(train: Sequence[Task], total: int, **budget: Any) -> Counter[str]:
    drawn = sample(train, BudgetConfig(4, total=total, **budget), 0)
    return Counter(task.category.partition(":")[0] for task in drawn.tasks for _ in task.instances)


def test_weights_divide_a_total_and_a_larger_one_gives_no_part_less(cache: Path) -> None:
    config = tasks(weights={"all": 3.0})
    assert shares(config, 64, cache) == {"all": 48, "few": 16}
    assert shares(config, 64, cache, repeat=4) == {"all": 48, "few": 16}
    assert shares(tasks(weights={"few": 0.0}), 64, cache) == {"all": 64}
    assert shares(tasks(weights={"all": 3.0}, leave_out="all"), 40, cache) == {"few": 40}
    train = read_tasks(config, cache).train
    grown = [shown(train, total) for total in range(1, 24)]
    assert [sum(one.values()) for one in grown] == list(range(1, 24))
    for less, more in pairwise(grown):
        assert all(less[part] <= more[part] for part in less)
    assert shares(tasks(), 85, cache) == {"all": 75, "few": 10}, "without weights all tasks are alike"


def test_what_a_part_lacks_is_noted(cache: Path) -> None:
    train = read_tasks(tasks(weights={"few": 9.0}), cache).train
    there = sum(len(task.instances) for task in train if task.category.startswith("few"))
    drawn = sample(train, BudgetConfig(4, total=2**31 - 1), 0)
    assert sum(len(task.instances) for task in drawn.tasks) == sum(len(task.instances) for task in train)
    (note,) = sample(train, BudgetConfig(4, total=10 * there), 0).notes
    assert note.startswith(f"data_budget.total={10 * there}: there are ")


def test_validation_is_held_out_of_all_parts(cache: Path) -> None:
    mixed = read_tasks(tasks(validation=14), cache)
    assert len(mixed.validation) == 14
    assert not {task.name for task in mixed.validation} & {task.name for task in mixed.train}
    assert {task.category.partition(":")[0] for task in mixed.validation} == {"all", "few"}


def test_tasks_that_one_part_trains_on_and_another_tests_are_noted(tmp_path: Path, cache: Path) -> None:
    for side, name in (("train", "one"), ("test", "two")):
        folder = tmp_path / name
        folder.mkdir()
        other = "test" if side == "train" else "train"
        (folder / f"{side}.csv").write_text(OWN)
        (folder / f"{other}.csv").write_text(OWN.replace("Say", "Write"))
    made = {
        name: {
            "reader": "instruction_json",
            "root": str(tmp_path / name),
            "train_split": "train",
            "test_split": "test",
        }
        for name in ("one", "two")
    }
    notes = read_tasks(tasks(parts=made), cache).notes
    assert [note for note in notes if "that two tests" in note]
    left = read_tasks(tasks(parts=made, leave_out="one"), cache).notes
    assert not [note for note in left if "are trained on in one" in note]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"parts": {}}, "give the parts"),
        ({"parts": {"a b": STARTER}}, "name a part by letters"),
        ({"parts": {"one": {"test_tasks": 3}}}, "give its reader"),
        ({"parts": {"one": "starter"}}, "give its reader"),
        ({"parts": {"one": {**STARTER, "test_task": 3}}}, "key of tasks.parts.one.*test_tasks"),
        ({"parts": {"one": {"reader": "startr"}}}, "tasks.parts.one.reader.*starter"),
        ({"parts": {"one": {**STARTER, "columns": {"input": "x"}}}}, "tasks.parts.one.columns is set"),
        ({"parts": {"one": {**STARTER, "test_tasks": "many"}}}, "tasks.parts.one: .*many"),
        ({"parts": {"one": {**STARTER, "test_tasks": 0}}}, "tasks.parts.one.test_tasks=0"),
        ({"parts": {"one": {**STARTER, "validation": 2}}}, "validation is of the whole mixture"),
        ({"parts": {"one": {"reader": "mixture", "parts": {"a": STARTER}}}}, "no mixture itself"),
        ({"leave_out": "fewer"}, "tasks.leave_out.*few"),
        ({"test_parts": ["alll"]}, "tasks.test_parts.*all"),
        ({"weights": {"other": 1.0}}, "tasks.weights"),
        ({"weights": {"all": -1.0}}, "give numbers from 0 on"),
        ({"weights": {"all": float("nan")}}, "give numbers from 0 on"),
        ({"weights": {"all": 0.0}, "leave_out": "few"}, "one above 0 for a part in training"),
        ({"test_tasks": 3}, "the reader 'mixture' does not use it"),
    ],
)
def test_what_cannot_be_mixed_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises((UserError, UserErrors), match=message):
        check(tasks(**keys))


def composed(*more: str) -> Config:
    parts = [
        f"tasks.parts.{name}.{key}" for name, key in (("all", "reader=starter"), ("few", "reader=starter"))
    ]
    small = ["tasks.parts.all.test_tasks=1", "tasks.parts.few.test_include=[starter102_*]"]
    small += [f"tasks.parts.{name}.train_include=[starter014_*,starter023_*]" for name in ("all", "few")]
    small += [f"tasks.parts.{name}.test_instances=2" for name in ("all", "few")]
    return compose_config(["tasks=mixture", "model=tiny_llama", *parts, *small, *more])


def test_a_reader_s_message_names_the_keys_of_its_part(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "imdb_Reviewer.jsonl").write_text(
        '{"inputs_pretokenized": "a", "targets_pretokenized": "b"}\n'
    )
    prompt_sets = {"reader": "p3", "root": str(tmp_path)}
    with pytest.raises(
        UserError, match=r"as tasks\.parts\.few\.test_split, for example tasks\.parts\.few\.test_s"
    ):
        read_tasks(tasks(parts={"all": STARTER, "few": prompt_sets}), cache)
    gone = {"reader": "p3", "root": str(tmp_path / "tasks.old")}
    with pytest.raises(UserError, match=r"^tasks\.parts\.few\.root=\S+/tasks\.old: "):
        read_tasks(tasks(parts={"all": STARTER, "few": gone}), cache)


def test_weights_without_a_total_are_refused_before_anything_runs(cache: Path) -> None:
    given = composed("tasks.weights.few=2", f"cache={cache}")
    told = faults([given])
    assert ["give data_budget.total=N" in fault for fault in told] == [True]
    assert faults([replace(given, data_budget=BudgetConfig(4, total=8))]) == []


def test_a_mixture_is_one_identity_wherever_its_files_lie(tmp_path: Path) -> None:
    rows = {"reader": "instruction_json", "train_split": "train", "test_split": "test"}
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        for side in ("train", "test"):
            (tmp_path / name / f"{side}.csv").write_text(OWN)
    base = composed("data_budget.total=8")

    def known(**keys: Any) -> Any:
        return identify(replace(base, tasks=replace(base.tasks, **keys)))

    plain = known()
    one, other = (
        known(parts={"all": STARTER, "own": {**rows, "root": str(tmp_path / name)}})
        for name in ("here", "there")
    )
    assert one.hash == other.hash
    assert str(tmp_path) not in one.to_json()
    left, weighted, fewer = known(leave_out="few"), known(weights={"few": 2.0}), known(test_parts=["few"])
    assert len({identity.hash for identity in (plain, one, left, weighted, fewer)}) == 5
    assert plain.setting.get("tasks.leave_out") is None
    assert left.setting.text("tasks.leave_out") == "few"
    assert left.data_hash == plain.data_hash, (
        "what is trained on is no other content: the untuned model is shared"
    )
    nothing = replace(base, data_budget=BudgetConfig(0))
    untuned = [
        identify(replace(nothing, tasks=replace(base.tasks, **keys))).hash
        for keys in ({}, {"leave_out": "few"}, {"weights": {"few": 2.0}})
    ]
    assert len(set(untuned)) == 1
    assert {"tasks.parts", "tasks.weights", "tasks.leave_out", "tasks.test_parts"} <= NEUTRAL.keys()


def test_the_plan_counts_the_tasks_that_the_run_has(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Estimator, "_bytes", lambda *_: None)  # which makes the model
    config = composed("data_budget.total=12", "tasks.weights.few=2", f"cache={cache}")
    made = Estimator({}).estimate(config)
    read = read_tasks(config.tasks, cache)
    assert made.train_instances == 12
    assert made.test_instances == sum(len(task.instances) for task in read.test)
    whole = read_tasks(everything(config.tasks, 7), cache)
    assert len(whole.test) > len(read.test)
    assert {len(task.instances) for task in whole.test} == {7}


@pytest.mark.parametrize("definition", ["original", "simplified", "misleading", "misspelled"])
@pytest.mark.parametrize("seed", [0, 3])
def test_prompts_of_parts_are_apart_under_every_variant(definition: str, seed: int, cache: Path) -> None:
    """Crossed with a total, categories by turns, repetitions, held-out tasks and weights."""
    mixed = tasks(weights={"few": 2.0}, validation=2)
    collection = read_tasks(mixed, cache)
    budget = BudgetConfig(4, total=12, categories=3, repeat=2)
    config = replace(
        Config(),
        tasks=mixed,
        data_budget=budget,
        seed=seed,
        instruction=InstructionConfig(definition),
        cache=str(cache),
    )
    config = replace(config, prompt=PromptConfig("tk_instruct"))
    prompts, notes = prompts_in_training(config, collection, Words())
    shown = Counter((prompt.task, prompt.instance_id) for prompt in prompts)
    assert sum(shown.values()) == 12
    assert set(shown.values()) == {2}
    trained = {prompt.task for prompt in prompts}
    assert trained <= {task.name for task in collection.train}
    assert not trained & {task.name for task in collection.validation}
    assert len({prompt.category for prompt in prompts}) == 3
    assert not [note for note in notes if note.startswith("data_budget")]
    (again, _), other = (
        prompts_in_training(replace(config, seed=one), collection, Words()) for one in (seed, seed + 1)
    )
    assert again == prompts
    assert {prompt.instance_id for prompt in other[0]} != {prompt.instance_id for prompt in prompts}
