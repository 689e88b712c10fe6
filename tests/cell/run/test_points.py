"""Scores while training: nothing of what is trained changes, no point is lost or double, and what lacks is said."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from instruct_ablate.cell.run import points
from instruct_ablate.cell.run.evaluation import prompts_at_test
from instruct_ablate.cell.run.points import Test, missed, sampled, samples_at_test, scored_apart
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.run.stages import Words
from instruct_ablate.cell.state.canonical import effective, shown_at_test
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.disk.score_curve import FILE, Point, add_points, read_points
from instruct_ablate.errors import Interrupted, UserError
from instruct_ablate.model.training.settings import check_points
from instruct_ablate.schema import (
    BudgetConfig,
    Config,
    EvaluationConfig,
    LoggerConfig,
    MethodConfig,
    ModelConfig,
    TasksConfig,
    TrainerConfig,
)
from instruct_ablate.tasks.collection import read_tasks
from tests.conftest import make_task
from tests.standins import make_config

AT = EvaluationConfig(["same", "delusive"], at=[0.0, 0.25, 0.5, 1.0], at_instances=5)
CASES = [
    ("tiny_llama", "lora"),
    ("tiny_t5", "full"),
    pytest.param("tiny_llama", "full", marks=pytest.mark.slow),
    pytest.param("tiny_t5", "lora", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def cell(folder: Path, cache: Path, name: str = "tiny_llama", method: str = "full", **changes: Any) -> Config:
    trainer = TrainerConfig(
        precision="fp32", batch_size=2, accelerator="cpu", progress=False, learning_rate=1e-2,
        checkpoint_every_steps=2,
    )  # fmt: skip
    fields: dict[str, Any] = {
        "tasks": TasksConfig("starter", test_tasks=2, test_instances=4),
        "data_budget": BudgetConfig(4, tasks=2),
        "model": ModelConfig(name, source="random"),
        "method": MethodConfig(method),
        "trainer": trainer,
        "evaluation": replace(AT, at=[]),
        "cache": str(cache),
        "keep_checkpoints": True,
        **changes,
    }
    config = make_config(folder, **fields)
    return replace(config, prompt=replace(config.prompt, max_target_length=4))


def folder_of(config: Config, record: CellRecord) -> Path:
    return Path(config.output) / config.study / record.name


def trained(folder: Path) -> list[torch.Tensor]:
    masters: list[torch.Tensor] = torch.load(folder / "checkpoints" / "trained.ckpt", weights_only=True)[
        "masters"
    ]
    return masters


def same(one: Path, other: Path) -> bool:
    """Whether two cells have the same weights and predictions, to the bit."""
    answers = [sorted((one / "predictions").iterdir()), sorted((other / "predictions").iterdir())]
    texts = [[path.read_bytes() for path in paths] for paths in answers]
    pairs = zip(trained(one), trained(other), strict=True)
    return texts[0] == texts[1] and all(torch.equal(*pair) for pair in pairs)


def told(folder: Path) -> list[Point]:
    return [replace(one, seconds=0.0) for one in read_points(folder / FILE)]


@pytest.mark.parametrize(("name", "method"), CASES)
def test_weights_and_predictions_are_the_same_bits_with_and_without(
    name: str, method: str, tmp_path: Path, cache: Path
) -> None:
    plain, curved = cell(tmp_path / "a", cache, name, method), cell(tmp_path / "b", cache, name, method)
    curved.evaluation = AT
    plain.trainer.dropout = curved.trainer.dropout = 0.1 if method == "full" else 0.0
    assert identify(plain).hash == identify(curved).hash
    torch.manual_seed(1)
    one, before = folder_of(plain, run_cell(plain)), torch.get_rng_state()
    torch.manual_seed(1)
    record = run_cell(curved)
    assert record.state == "done", record.failure
    other = folder_of(curved, record)
    assert same(one, other)
    assert torch.equal(before, torch.get_rng_state())
    points = told(other)
    assert [(point.step, point.tested) for point in points] == [
        (step, tested) for step in (0, 1, 2, 4) for tested in ("original", "delusive")
    ]
    assert {point.instances for point in points} == {5}
    assert not (one / FILE).exists()


@pytest.mark.parametrize("name", ["tiny_llama", pytest.param("tiny_t5", marks=pytest.mark.slow)])
def test_the_last_point_of_all_instances_is_the_test_at_the_end(
    name: str, tmp_path: Path, cache: Path
) -> None:
    asked = replace(AT, at=[1.0], at_instances=1000)
    config = cell(tmp_path, cache, name, evaluation=asked)
    record = run_cell(config)
    points = told(folder_of(config, record))
    for block, point in zip(record.blocks, points, strict=True):
        assert dict(point.values)["rougeL"] == block.scores.task_mean.get("rougeL")
        assert point.instances == block.scores.overall.instances


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Stop within the point after a step."""
    take = Test.take

    def arrange(stop: int) -> None:
        def stopped(self: Test, step: int) -> None:
            if step == stop:
                raise Interrupted("told to stop")
            take(self, step)

        monkeypatch.setattr(Test, "take", stopped)

    return arrange


def test_a_cell_stopped_within_points_ends_as_if_it_had_not_been(
    tmp_path: Path, cache: Path, stop_at: Callable[[int], None]
) -> None:
    whole, parts = (cell(tmp_path / name, cache, evaluation=AT) for name in ("whole", "parts"))
    wanted = folder_of(whole, run_cell(whole))
    for step in (2, 4):
        stop_at(step)
        assert run_cell(parts).state == "interrupted"
    stop_at(-1)
    record = run_cell(parts)
    assert record.state == "done", record.failure
    assert same(wanted, folder_of(parts, record))
    assert told(wanted) == told(folder_of(parts, record))
    assert not [note for note in record.notes if "no scores after" in note]


def test_points_asked_for_after_they_were_passed_are_noted(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = cell(tmp_path, cache)
    with monkeypatch.context() as patch:
        stopped = Interrupted("told to stop")
        patch.setattr("instruct_ablate.cell.run.stages.evaluate", lambda *_: (_ for _ in ()).throw(stopped))
        assert run_cell(config).state == "interrupted"
    record = run_cell(replace(config, evaluation=AT))
    assert record.state == "done"
    assert [note for note in record.notes if "no scores after step 0, 1, 2, 4" in note]


def test_a_done_cell_is_not_trained_again_and_says_how_to_get_its_curve(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = cell(tmp_path, cache)
    first = run_cell(config)
    with caplog.at_level(logging.WARNING):
        again = run_cell(replace(config, evaluation=AT))
    assert again == first
    assert "another study=NAME" in caplog.text
    caplog.clear()
    other = replace(config, evaluation=AT, study="other", reuse="all")
    record = run_cell(other)
    assert not [note for note in record.notes if "taken over" in note]
    assert told(folder_of(other, record))
    third = replace(other, study="third")
    assert told(folder_of(third, run_cell(third))) == told(folder_of(other, record))


def test_an_untuned_model_has_no_curve_to_lack(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = cell(tmp_path, cache, data_budget=BudgetConfig(0), evaluation=AT)
    run_cell(config)
    assert run_cell(config).state == "done"
    assert "study=NAME" not in caplog.text


def test_points_are_mirrored_at_their_steps(tmp_path: Path, cache: Path) -> None:
    config = cell(tmp_path, cache, evaluation=AT, logger=LoggerConfig("csv"))
    folder = folder_of(config, run_cell(config))
    (table,) = folder.rglob("metrics.csv")
    heads, *lines = (line.split(",") for line in table.read_text().splitlines())
    place = heads.index("curve/delusive/rougeL")
    steps = [int(line[heads.index("step")]) for line in lines if line[place]]
    assert steps == [0, 1, 2, 4]


def test_the_sample_is_even_over_tasks_and_always_the_same() -> None:
    tasks = [make_task(name, count=6) for name in ("a", "b", "c")]
    chosen = sampled(tasks, 7)
    assert sorted(len(task.instances) for task in chosen) == [2, 2, 3]
    assert sampled(tasks[::-1], 7)[::-1] == chosen
    assert [task.name for task in sampled(tasks, 2)] != ["a", "b", "c"]
    assert sampled(tasks, 100) == tuple(tasks)
    smaller = {one.id for task in sampled(tasks, 5) for one in task.instances}
    assert smaller < {one.id for task in chosen for one in task.instances}


@pytest.mark.parametrize("decoding", ["greedy", "channel"])
def test_each_prompt_of_the_sample_is_that_of_the_test_at_the_end(
    decoding: str, tmp_path: Path, cache: Path
) -> None:
    """Variants that borrow from other tasks, or from a task's other instances, borrow from all of them."""
    borrowing = ["misleading", "misleading_moderate", "delusive", "random_true_distribution", "ood_inputs"]
    tasks = TasksConfig("starter", test_tasks=12, test_instances=20)
    evaluation = EvaluationConfig(borrowing, at=[1.0], decoding=decoding, answer_slack=2)
    config = effective(cell(tmp_path, cache, tasks=tasks, evaluation=evaluation))
    read, job = read_tasks(tasks, cache), SimpleNamespace(config=config)
    whole = {
        label: {(one.task, one.instance_id): one for one in prompts_at_test(config, read, shown, Words())}
        for label, shown in shown_at_test(config)
    }
    samples = list(samples_at_test(job, read, Words(), 5))  # type: ignore[arg-type]
    assert [one.tested for one in samples] == list(whole)
    for one in samples:
        assert len({prompt.task for prompt in one.prompts}) == 5, "of few of the tasks"
        assert all(prompt.task_outputs for prompt in one.prompts), "what bounds answers is lost"
        assert [whole[one.tested][prompt.task, prompt.instance_id] for prompt in one.prompts] == [
            *one.prompts
        ]


def test_a_sampled_task_whose_instances_have_choices_of_their_own_is_classification_still() -> None:
    choices = tuple((f"own-{number}", ("yes", "no")) for number in range(6))
    whole = make_task("own", count=6, label_space=None, answer_choices=choices)
    (few,) = sampled([whole], 2)
    assert whole.kind == few.kind == "classification"
    assert {name for name, _ in few.answer_choices} == {one.id for one in few.instances}


def test_points_on_prompts_of_an_earlier_version_make_a_curve_of_their_own(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = TasksConfig("starter", test_tasks=2, test_instances=4)
    job = SimpleNamespace(config=effective(cell(tmp_path, cache, tasks=tasks, evaluation=AT)))

    def hashes() -> list[str]:
        return [one.hash for one in samples_at_test(job, read_tasks(tasks, cache), Words(), 5)]  # type: ignore[arg-type]

    now = hashes()
    assert now == hashes()
    monkeypatch.setattr(points, "PROMPTS", points.PROMPTS - 1)
    assert not {*now} & {*hashes()}


def test_a_logger_that_fails_costs_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(values: Any, step: int) -> None:
        raise OSError("no network")

    job: Any = SimpleNamespace(folder=tmp_path)
    logger: Any = SimpleNamespace(log_metrics=fail)
    Test(job, None, (), (), 10, [logger]).take(3)  # type: ignore[arg-type]
    assert "no network" in caplog.text


def test_what_cannot_be_tested_on_its_way_is_refused() -> None:
    check_points(EvaluationConfig(), TrainerConfig(strategy="fsdp"))
    with pytest.raises(UserError, match=r"evaluation\.at: with trainer\.strategy=fsdp"):
        check_points(AT, TrainerConfig(strategy="fsdp"))
    with pytest.raises(UserError, match=r"evaluation\.every_steps: evaluation\.engine=vllm"):
        check_points(EvaluationConfig(every_steps=2, engine="vllm"), TrainerConfig())


@pytest.mark.parametrize(("last", "more"), [(8, False), (9, True)])
def test_eight_points_that_lack_are_named(tmp_path: Path, last: int, more: bool) -> None:
    steps: dict[str, Any] = {"steps": last, "steps_per_epoch": last}
    config = SimpleNamespace(evaluation=EvaluationConfig(every_steps=1))
    job, schedule = SimpleNamespace(config=config, folder=tmp_path, leads=True), SimpleNamespace(**steps)
    (said,) = missed(job, schedule)  # type: ignore[arg-type]
    named = ", ".join(map(str, range(1, 9))) + (", ..." if more else "")
    assert said.startswith(f"training: no scores after step {named}: the cell had passed it")
    job.leads = False
    assert missed(job, schedule) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize("select", ["last", "best:rougeL"])
def test_a_fit_that_went_on_under_other_rules_says_so(select: str, tmp_path: Path) -> None:
    trainer = TrainerConfig(select=select)
    job: Any = SimpleNamespace(leads=True, folder=tmp_path, config=SimpleNamespace(trainer=trainer))
    point = Point(1, 4, "original", 5, "abcd", 0.1, (("rougeL", 1.0),))
    add_points(tmp_path / FILE, [point])
    assert scored_apart(job) == ()
    add_points(tmp_path / FILE, [replace(point, step=2, scored=(("scoring rules", "version 3"),))])
    (note,) = scored_apart(job)
    told = "training: scores on the way were not all made alike: not noted and scoring rules version 3"
    assert note == told + (", and the weights were chosen by them all the same" if select != "last" else "")
    job.leads = False
    assert scored_apart(job) == ()
