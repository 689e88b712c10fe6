"""Selection: by held-out training tasks alone, counted where it changes a result, said in the record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from instruct_ablate.cell.run import runner, stages
from instruct_ablate.cell.run.points import Test, samples_held_out
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.run.selection import check_defined, check_selection, chosen_by
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.disk.score_curve import FILE, Point, read_points
from instruct_ablate.errors import UserError
from instruct_ablate.grid.checking.preflight import faults
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.prompt.template_set import shipped_sets
from instruct_ablate.schema import (
    BudgetConfig,
    Config,
    DataConfig,
    EvaluationConfig,
    PromptConfig,
    TasksConfig,
    TrainerConfig,
)
from instruct_ablate.tasks.collection import read_tasks, reader
from instruct_ablate.tasks.task import TaskCollection
from tests.cell.run.test_points import cell, folder_of, same, told, trained
from tests.conftest import make_task
from tests.killed import Killed, best_of, dying

AT = EvaluationConfig(["same", "delusive"], at=[0.25, 0.5, 0.75, 1.0], at_instances=3)
HELD = TasksConfig("starter", test_tasks=2, test_instances=4, validation=2)
SCORES = {1: 1.0, 2: 7.0, 3: 7.0, 4: 2.0}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def choosing(folder: Path, cache: Path, **trainer: Any) -> Config:
    config = cell(folder, cache, tasks=HELD, evaluation=AT, keep_checkpoints=True)
    given = {"select": "best:rougeL", **trainer}
    return replace(config, trainer=replace(config.trainer, **given))


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the points scores that are known."""
    point = Test._point

    def made(self: Test, sample: Any, step: int) -> Point:
        return replace(point(self, sample, step), values=(("rougeL", SCORES[step]),))

    monkeypatch.setattr(Test, "_point", made)


@pytest.mark.usefixtures("scripted")
def test_the_best_weights_are_tested_kept_and_said(tmp_path: Path, cache: Path) -> None:
    config = choosing(tmp_path / "a", cache, patience=1)
    record = run_cell(config)
    assert record.state == "done", record.failure
    assert record.selected is not None
    assert (record.selected.step, record.selected.done, record.selected.steps) == (2, 3, 4)
    assert record.selected.scores == ((1, 1.0), (2, 7.0), (3, 7.0))
    assert (
        "training: the weights after step 2 of 4 were chosen, by rougeL on 2 held-out training tasks (7.00); it was "
        "stopped early, after step 3"
    ) in record.notes
    folder = folder_of(config, record)
    points = read_points(folder / FILE)
    assert {(point.tested, point.instances) for point in points} == {("validation", 6)}
    plain = cell(tmp_path / "b", cache, tasks=HELD)
    plain = replace(plain, trainer=replace(plain.trainer, max_steps=2))
    other = folder_of(plain, run_cell(plain))
    assert all(torch.equal(*pair) for pair in zip(trained(folder), trained(other), strict=True))
    names = ("predictions/original.jsonl",)
    assert [(folder / name).read_bytes() for name in names] == [(other / name).read_bytes() for name in names]
    assert run_cell(config) == record, "a cell that stopped early is done"


@pytest.mark.slow
@pytest.mark.usefixtures("scripted")
def test_a_cell_killed_again_and_again_ends_as_if_it_had_not_been(tmp_path: Path, cache: Path) -> None:
    whole, parts = (
        choosing(tmp_path / name, cache, patience=1, checkpoint_every_steps=1) for name in ("whole", "parts")
    )
    wanted = run_cell(whole)
    assert wanted.selected is not None
    moments = (
        dying(Test, "take", lambda test, step: step == 2),
        dying(Test, "take", lambda test, step: step == 2, after=True),
        *best_of(best=2, early=3).values(),
        dying(stages, "evaluate", lambda *given: True),
        dying(runner, "_finish", lambda folder, record: record.state == "done"),
    )
    for arrange in moments:
        with pytest.MonkeyPatch.context() as patch:
            arrange(patch)
            with pytest.raises(Killed):
                run_cell(parts)
    record = run_cell(parts)
    assert record.state == "done", record.failure
    assert record.selected == wanted.selected
    folders = folder_of(whole, wanted), folder_of(parts, record)
    assert same(*folders)
    assert told(folders[0]) == told(folders[1])
    assert [block.scores for block in record.blocks] == [block.scores for block in wanted.blocks]
    assert not list(folders[1].rglob("best-*"))


@reader
def poisoned(config: TasksConfig) -> TaskCollection:
    """Training tasks that stay; test tasks that `tasks.root` turns into others."""
    train = tuple(make_task(name) for name in ("a", "b", "c", "d"))
    test = make_task("x")
    if config.root == "poison":
        test = replace(
            test,
            definition="Write nothing.",
            instances=tuple(replace(one, input="?") for one in test.instances),
        )
    return TaskCollection("own", train, (test,))


def test_test_tasks_are_never_looked_at(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    take = Test.take

    def watched(self: Test, step: int) -> dict[str, float]:
        seen.extend(prompt.task for sample in self.samples for prompt in sample.prompts)
        return take(self, step)

    monkeypatch.setattr(Test, "take", watched)
    made = []
    for root in (None, "poison"):
        config = choosing(tmp_path / str(root), cache)
        tasks = TasksConfig(f"{__name__}.poisoned", root=root, validation=2)
        config = replace(config, tasks=tasks, evaluation=replace(AT, instructions=["same"]))
        record = run_cell(config)
        assert record.state == "done", record.failure
        made.append((record, trained(folder_of(config, record))))
    (one, its), (other, theirs) = made
    assert one.identity != other.identity
    assert one.selected == other.selected is not None
    assert all(torch.equal(*pair) for pair in zip(its, theirs, strict=True))
    assert set(seen) <= {"a", "b", "c", "d"}
    assert len(set(seen)) == 2


def test_held_out_tasks_are_shown_as_training_shows_them(tmp_path: Path, cache: Path) -> None:
    config = choosing(tmp_path, cache)
    config = replace(config, instruction=replace(config.instruction, definition="empty"))
    read = read_tasks(HELD, cache)

    def held(**changes: Any) -> tuple[Prompt, ...]:
        job: Any = SimpleNamespace(config=replace(config, **changes))
        (sample,) = samples_held_out(job, read, stages.Words())
        return sample.prompts

    first = PromptConfig("set_12/" + shipped_sets()["set_12"][0].name)
    assert held(prompt=PromptConfig("set_12")) == held(prompt=first), "the template of training"
    assert (
        len({prompt.source[:9] for prompt in held(prompt=PromptConfig("set_12", training_template="drawn"))})
        > 2
    )
    channel = held(prompt=PromptConfig("plain"), evaluation=replace(AT, decoding="channel"))
    assert any(prompt.channel for prompt in channel)
    prompts = held()
    assert len(prompts) == 2 * 3
    assert {prompt.task for prompt in prompts} == {task.name for task in read.validation}
    defined = [task.definition for task in read.validation]
    assert not any(one in prompt.source for one in defined for prompt in prompts)
    half = held(data=DataConfig(altered_share=0.5))
    assert sum(any(one in prompt.source for one in defined) for prompt in half) == 3


def test_what_is_chosen_by_counts_and_what_is_not_does_not(tmp_path: Path, cache: Path) -> None:
    def key(config: Config, **points: Any) -> str:
        return identify(replace(config, evaluation=replace(config.evaluation, **points))).hash

    config = choosing(tmp_path, cache)
    plain = replace(config, trainer=replace(config.trainer, select="last"))
    others = (
        {"at": [0.5]}, {"every_steps": 1}, {"every_epochs": 0.5}, {"at_instances": 9},
    )  # fmt: skip
    assert {key(plain, **points) for points in others} == {key(plain)}
    patient = replace(config, trainer=replace(config.trainer, patience=3))
    assert len({key(config), key(plain), key(patient), *(key(config, **points) for points in others)}) == 7
    assert key(config, at_instances=None) == key(config, at_instances=100)
    assert key(config, at=[1, 0.75, 0.5, 0.25, 0.5]) == key(config)
    setting = identify(config).setting
    assert setting.text("trainer.select") == "best:rougeL"
    untuned = replace(config, data_budget=BudgetConfig(0))
    as_plain = replace(plain, data_budget=BudgetConfig(0), tasks=replace(HELD, validation=0))
    assert identify(untuned) == identify(as_plain)


@pytest.mark.parametrize(
    ("trainer", "evaluation", "validation", "words"),
    [
        ({"select": "best:rougeL"}, {"at": [1.0]}, 0, r"add tasks\.validation=4"),
        ({"select": "best:rougeL"}, {}, 2, r"add evaluation\.every_epochs=0\.25"),
        ({"select": "best:rougeL"}, {}, 0, r"tasks\.validation=4 .* and evaluation\.every_epochs"),
        ({"select": "best:rogeL"}, {"at": [1.0]}, 2, r"did you mean 'rougeL'"),
        ({"select": "rougeL"}, {"at": [1.0]}, 2, r"give last, or best:MEASURE"),
        ({"select": "x" * 5000}, {"at": [1.0]}, 2, r"^.{,400}$"),
        ({"select": "best:" + "x" * 5000}, {"at": [1.0]}, 2, r"^.{,900}$"),
        ({"select": "best:"}, {"at": [1.0]}, 2, r"give last, or best:MEASURE"),
        ({"select": "best:lenient_match"}, {"at": [1.0]}, 2, r"Choose by one of: .*rougeL"),
        ({"select": "best:consistency"}, {"at": [1.0]}, 2, r"Choose by one of: .*rougeL"),
        ({"select": "best:uniform_guess"}, {"at": [1.0]}, 2, r"Choose by one of: .*rougeL"),
        ({"patience": 2}, {"at": [1.0]}, 2, r"add trainer\.select=best:rougeL"),
    ],
)
def test_what_cannot_choose_is_refused_with_what_to_type(
    trainer: dict[str, Any], evaluation: dict[str, Any], validation: int, words: str
) -> None:
    tasks = TasksConfig("starter", validation=validation)
    with pytest.raises(UserError, match=words):
        check_selection(TrainerConfig(**trainer), EvaluationConfig(**evaluation), tasks)


def test_a_sound_choice_passes_and_a_measure_of_other_tasks_does_not(tmp_path: Path, cache: Path) -> None:
    check_selection(TrainerConfig(), EvaluationConfig(), TasksConfig("starter"))
    trainer = TrainerConfig(select="best:classification_rougeL")
    check_selection(trainer, AT, HELD)
    kinds = {task.kind for task in read_tasks(replace(HELD, validation=1), cache).validation}
    (other,) = {"classification", "generation"} - kinds
    with pytest.raises(UserError, match=f"it is of {other} tasks, and none is among those held out"):
        check_defined(replace(HELD, validation=1), cache, TrainerConfig(select=f"best:{other}_rougeL"))
    assert chosen_by(TrainerConfig()) is None


def test_a_grid_is_refused_before_it_starts(tmp_path: Path, cache: Path) -> None:
    config = replace(choosing(tmp_path, cache), tasks=replace(HELD, validation=0))
    (fault,) = faults([config])
    assert "add tasks.validation=4" in fault
    untuned = faults([replace(config, data_budget=BudgetConfig(0))])
    assert not [one for one in untuned if "trainer.select" in one], "an untuned model chooses nothing"
    sharded = choosing(tmp_path, cache, strategy="fsdp")
    assert any("fsdp no process has the whole model" in fault for fault in faults([sharded]))
