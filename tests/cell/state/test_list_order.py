"""Lists whose order says nothing: a cell of another order is found, and settings are the same; hashes are as ever."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.run.job import Job, Outcome
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state import identity as identities
from instruct_ablate.cell.state.former import as_stored
from instruct_ablate.cell.state.identity import identify, regardless_of_order
from instruct_ablate.cell.state.setting.unordered import UNORDERED
from instruct_ablate.cell.state.stored_config import IDENTITY
from instruct_ablate.errors import Interrupted
from instruct_ablate.grid.declaration import declare
from instruct_ablate.grid.study import read_study
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.schema import Config, MethodConfig, ModelConfig, TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from tests.standins import make_config, replace_inputs, work
from tests.tasks.layout import write_collection

FORTH, BACK = ["alpha", "beta"], ["beta", "alpha"]


def asking(folder: Path, key: str, value: list[str], **changes: Any) -> Config:
    group, _, name = key.partition(".")
    config = make_config(folder, method=MethodConfig("lora"), **changes)
    return replace(config, **{group: replace(getattr(config, group), **{name: value})})


@pytest.fixture
def _same_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)


@pytest.mark.usefixtures("_same_inputs")
@pytest.mark.parametrize("key", sorted(UNORDERED))
def test_a_cell_is_one_whichever_way_a_list_is_written(key: str, tmp_path: Path) -> None:
    one, other, doubled = (
        identify(asking(tmp_path, key, list(value))) for value in (FORTH, BACK, [*BACK, "beta"])
    )
    assert one.setting == other.setting == doubled.setting
    assert one.setting.get(key) == ("alpha", "beta")
    assert other.counted[key] == BACK, "it is hashed as it is written"
    less = identify(asking(tmp_path, key, ["alpha"]))
    assert less.setting != one.setting
    shared = [regardless_of_order(each.counted) for each in (one, other, doubled, less)]
    assert shared[:2] == shared[1:3] != shared[2:]


@pytest.mark.usefixtures("_same_inputs")
def test_so_it_is_within_parts_and_general_ability(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "_general_hash", lambda config: "general")

    def hashes(value: list[str]) -> tuple[str, ...]:
        part = {"reader": "starter", "include": value}
        config = make_config(tmp_path, tasks=TasksConfig("mixture", parts={"one": part}))
        plain = make_config(tmp_path)
        able = replace(plain, evaluation=replace(plain.evaluation, general=part))
        return tuple(regardless_of_order(identify(each).counted) for each in (config, able))

    assert hashes(FORTH) == hashes(BACK)
    assert not {*hashes(FORTH)} & {*hashes(["alpha"])}


@pytest.mark.usefixtures("_same_inputs")
def test_lists_that_have_an_order_keep_it(tmp_path: Path) -> None:
    """Numbers in the data count through the labels."""
    one, other = (identify(asking(tmp_path, "tasks.labels", order)) for order in (FORTH, BACK))
    assert regardless_of_order(one.counted) != regardless_of_order(other.counted)
    assert one.setting != other.setting


def must_not_work(job: Job) -> Outcome:
    raise AssertionError(f"{job.identity.name} was done already and is computed again")


@pytest.mark.usefixtures("_same_inputs")
@pytest.mark.parametrize("order", [FORTH, BACK], ids=["as it was asked for", "the other way"])
def test_what_an_earlier_version_did_is_found_and_its_seeds_are_one_row(
    order: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, given = "tasks.include", asking(tmp_path, "tasks.include", BACK)
    with monkeypatch.context() as before:
        before.setattr(
            "instruct_ablate.cell.state.setting.setting.in_order", dict
        )  # so was it written into records
        record = run_cell(given, work)
        assert record.setting.get(key) == ("beta", "alpha")
    study = tmp_path / given.study
    asked = asking(tmp_path, key, order)
    now = identify(asked)
    assert (now.hash == record.identity) == (order == BACK)
    stored = as_stored(study, now)
    assert (stored.hash, stored.name) == (record.identity, record.name)
    assert json.loads(stored.to_json()) == json.loads((study / record.name / IDENTITY).read_text())
    again = run_cell(asked, must_not_work)
    assert (again.identity, again.setting) == (record.identity, now.setting)
    new = run_cell(replace(asked, seed=1), work)
    assert new.identity == identify(replace(asked, seed=1)).hash
    (row,) = build_rows(read_study(study).cells)
    assert (row.seeds, row.clash) == ((0, 1), ())


@pytest.mark.usefixtures("_same_inputs")
def test_a_mixture_of_an_earlier_version_is_the_setting_of_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: lists within its parts stayed as they were written, and two orders were two rows."""

    def mixed(order: list[str], seed: int) -> Config:
        parts = {"one": {"reader": "starter", "include": order}}
        return make_config(tmp_path, tasks=TasksConfig("mixture", parts=parts), seed=seed)

    with monkeypatch.context() as before:
        before.setattr("instruct_ablate.cell.state.setting.setting.in_order", dict)
        for seed, order in enumerate((FORTH, BACK)):
            run_cell(mixed(order, seed), work)
    text = (tmp_path / "ablation").glob("*/record.json")
    assert any("['beta', 'alpha']" in path.read_text() for path in text), "so it was written"
    (row,) = build_rows(read_study(tmp_path / "ablation").cells)
    assert (row.seeds, row.setting) == ((0, 1), identify(mixed(BACK, 0)).setting)


@pytest.mark.usefixtures("_same_inputs")
def test_one_that_is_under_way_is_gone_on_with(tmp_path: Path) -> None:
    def stops(job: Job) -> Outcome:
        raise Interrupted("told to stop")

    stopped = run_cell(asking(tmp_path, "tasks.include", BACK), stops)
    done = run_cell(asking(tmp_path, "tasks.include", FORTH), work)
    assert (stopped.state, done.state, done.name) == ("interrupted", "done", stopped.name)
    assert [one.name for one in read_study(tmp_path / make_config(tmp_path).study).cells] == [done.name]


@pytest.mark.usefixtures("_same_inputs")
def test_one_that_never_began_is_not_missing_beside_the_one_that_was_done(tmp_path: Path) -> None:
    study = tmp_path / make_config(tmp_path).study
    first, then = (asking(tmp_path, "tasks.include", order) for order in (BACK, FORTH))
    declare(study, [identify(replace(first, seed=seed)) for seed in (0, 1)], first)
    run_cell(then, work)
    declare(study, [identify(then)], then)
    cells = read_study(study).cells
    assert sorted((cell.seed, cell.state) for cell in cells) == [(0, "done"), (1, "missing")]


@pytest.mark.usefixtures("_same_inputs")
def test_where_both_orders_were_done_each_is_there_and_the_report_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr("instruct_ablate.cell.run.runner.as_stored", lambda study, identity: identity)
        done = [run_cell(asking(tmp_path, "tasks.include", order), work).identity for order in (FORTH, BACK)]
    found = [
        run_cell(asking(tmp_path, "tasks.include", order), must_not_work).identity for order in (FORTH, BACK)
    ]
    assert found == done
    (row,) = build_rows(read_study(tmp_path / make_config(tmp_path).study).cells)
    assert len(row.clash) == 2, "nobody can say which is meant"


def test_readers_give_the_same_tasks_in_the_same_order(tmp_path: Path) -> None:
    train = {"task1_a": {}, "task2_b": {"Categories": ["Translation"]}, "task4_d": {}}
    root = str(write_collection(tmp_path / "ni", train, {"task3_c": {}, "task5_e": {}}))
    official = TasksConfig("natural_instructions", root=root)
    starter = TasksConfig("starter", test_instances=3)
    for config, key, values in (
        (official, "include", ["task2*", "task1*", "task3*", "task5*"]),
        (official, "train_include", ["task4*", "task1*"]),
        (official, "test_include", ["task5*", "task3*"]),
        (official, "train_categories", ["Translation", "Question Answering"]),
        (starter, "include", ["starter02*", "starter01*", "starter1*"]),
        (starter, "test_include", ["starter108*", "starter102*"]),
    ):
        forth, back = (
            read_tasks(replace(config, **{key: order}), tmp_path / "cache")
            for order in (values, values[::-1])
        )
        assert forth.content_hash == back.content_hash, key
        assert forth.order == back.order, key
        assert [task.name for task in forth.train] == [task.name for task in back.train], key
        assert [task.name for task in forth.test] == [task.name for task in back.test], key


def test_adapters_begin_alike(tmp_path: Path) -> None:
    import torch

    from instruct_ablate.model.loading.checkpoint import load_checkpoint
    from instruct_ablate.model.training.lora import adapt

    def weights(modules: list[str]) -> dict[str, Any]:
        model = load_checkpoint(ModelConfig("tiny_llama", source="random"), torch.float32, tmp_path).model
        return dict(adapt(model, MethodConfig("lora", target_modules=modules), 3).state_dict())

    forth, back = weights(["q_proj", "v_proj"]), weights(["v_proj", "q_proj"])
    assert list(forth) == list(back)
    assert any("lora_A" in name for name in forth)
    assert all(torch.equal(forth[name], back[name]) for name in forth)
