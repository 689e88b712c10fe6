from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from instruct_ablate.cell.run.evaluation import PLACES
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.run.stages import work
from instruct_ablate.cell.state.record.predictions import read_predictions
from instruct_ablate.cell.state.record.record import BlockKey, CellRecord
from instruct_ablate.disk.score_curve import FILE, read_points
from instruct_ablate.instruction.shortage import told_shortages
from instruct_ablate.instruction.variant import VARIANTS
from instruct_ablate.model.loading.parameter_count import parameters
from instruct_ablate.prompt.prompt import Prediction
from instruct_ablate.schema import (
    BudgetConfig,
    Config,
    EvaluationConfig,
    InstructionConfig,
    ModelConfig,
    PromptConfig,
    TasksConfig,
    TrainerConfig,
)
from tests.standins import make_config

BLOCKS = ("original", "delusive")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def small(folder: Path, cache: Path, **changes: Any) -> Config:
    """A real cell: starter tasks, a tiny model with random weights."""
    fields: dict[str, Any] = {
        "tasks": TasksConfig("starter", test_tasks=2, test_instances=4),
        "data_budget": BudgetConfig(2, tasks=2),
        "trainer": TrainerConfig(
            precision="fp32", batch_size=2, accelerator="cpu", progress=False, threads=1
        ),
        "cache": str(cache),
        **changes,
    }
    return make_config(folder, **fields)


def folder_of(config: Config, record: CellRecord) -> Path:
    return Path(config.output) / config.study / record.name


def test_a_trained_cell_is_tested_under_each_instruction(tmp_path: Path, cache: Path) -> None:
    config = small(tmp_path, cache, evaluation=EvaluationConfig(["same", "delusive"]))
    record = run_cell(config)
    assert record.state == "done", record.failure
    assert [block.instruction for block in record.blocks] == ["original", "delusive"]
    for block in record.blocks:
        rows = read_predictions(folder_of(config, record) / block.predictions)
        assert len(rows) == block.scores.overall.instances == 8
    assert record.cost.train_steps == 2
    assert record.cost.evaluate_instances == 16
    assert record.cost.peak_memory > 0
    assert record.cost.gpu_memory == 0, "there is none here"
    assert record.environment is not None
    assert (record.environment.device, record.environment.precision) == ("cpu", "fp32")
    assert record.environment.parameters == parameters(config.model, cache), "as a plan counts them"
    assert not (folder_of(config, record) / "checkpoints").exists()


def test_the_untuned_model_is_not_trained(tmp_path: Path, cache: Path) -> None:
    record = run_cell(small(tmp_path, cache, data_budget=BudgetConfig(0)))
    assert record.state == "done", record.failure
    assert record.cost.train_steps == 0
    assert record.setting.untuned


@pytest.mark.parametrize(
    "name", ["uniform_guess", "majority", "label_prior", "copy_input", "copy_demonstration"]
)
def test_baselines_need_no_model(tmp_path: Path, cache: Path, name: str) -> None:
    config = small(tmp_path, cache, model=ModelConfig(name, source="baseline"))
    record = run_cell(config)
    assert record.state == "done", record.failure
    score = next(kind for kind in record.blocks[0].scores.kinds if kind.name == "classification")
    if name == "uniform_guess":
        assert score.get("exact_match") == pytest.approx(score.get("uniform_guess"))
    if name.startswith("copy"):
        rows = read_predictions(folder_of(config, record) / record.blocks[0].predictions)
        assert all(row.prediction for row in rows)


@pytest.mark.parametrize(("name", "notes"), [("copy_demonstration", 1), ("majority", 0)])
def test_fewer_examples_than_are_to_be_shown_are_noted_where_they_are_read(
    tmp_path: Path, cache: Path, name: str, notes: int
) -> None:
    instruction = InstructionConfig(num_positive=9)
    model = ModelConfig(name, source="baseline")
    record = run_cell(small(tmp_path, cache, instruction=instruction, model=model))
    assert record.state == "done", record.failure
    told = [*told_shortages(record.notes)]
    assert len(told) == notes
    assert all(
        line.startswith("instruction.num_positive=9: ") and " test tasks have fewer " in line for line in told
    )


def older(folder: Path) -> None:
    """Leave the rows as an earlier version with another metric scored them."""
    (path,) = folder.glob("predictions/*.partial*")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    earlier = [{**row, "values": {"exact_match": 0.5, "former_metric": 1.0}} for row in rows]
    for row in earlier:
        del row["word_rule"]
    path.write_text("".join(json.dumps(row) + "\n" for row in earlier))


@pytest.mark.parametrize(
    "between", [lambda folder: None, older], ids=["as it was", "scored by an earlier version"]
)
def test_a_cell_stopped_while_testing_predicts_nothing_twice_and_has_one_scoring(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, between: Callable[[Path], None]
) -> None:
    whole = small(tmp_path, cache, study="whole")
    expected = run_cell(whole)
    from instruct_ablate.model.decoding import predict as generate

    real, asked = generate.predict, []

    def stops(checkpoint: Any, prompts: Any, config: Any, finished: Any, *more: Any) -> Any:
        for number, prediction in enumerate(real(checkpoint, prompts, config, finished, *more)):
            if number == 3 and not finished:
                raise RuntimeError("the power went")
            asked.append(prediction.prompt.instance_id)
            yield prediction

    monkeypatch.setattr(generate, "predict", stops)
    config = small(tmp_path, cache, study="broken")
    stopped = run_cell(config)
    assert stopped.state == "failed"
    between(folder_of(config, stopped))
    record = run_cell(config)
    assert record.state == "done"
    assert len(asked) == len(set(asked)) == 8
    assert record.blocks == expected.blocks
    paths = (folder_of(each, record) / record.blocks[0].predictions for each in (whole, config))
    assert len({path.read_bytes() for path in paths}) == 1


def power_goes_after_three(there: pytest.MonkeyPatch) -> None:
    """Let a test end by an error once it has made three predictions."""
    from instruct_ablate.model.decoding import predict as generate

    usual = generate.predict

    def stops(*given: Any, **further: Any) -> Iterator[Prediction]:
        for number, prediction in enumerate(usual(*given, **further)):
            if number == 3:
                raise RuntimeError("the power went")
            yield prediction

    there.setattr(generate, "predict", stops)


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_test_that_another_machine_goes_on_with_says_who_made_its_first_predictions(
    forgotten: bool, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(tmp_path, cache, study="moved")
    with monkeypatch.context() as there:
        there.setattr("socket.gethostname", lambda: "first")
        power_goes_after_three(there)
        stopped = run_cell(config)
    assert stopped.state == "failed"
    if forgotten:
        shutil.rmtree(folder_of(config, stopped) / PLACES)
    record = run_cell(config)
    (note,) = (note for note in record.notes if "predictions were made elsewhere" in note)
    where = "a place that is not known" if forgotten else "first (cpu, fp32, "
    assert note.startswith(f"test, original: predictions were made elsewhere: 3 of 8 on {where}")
    assert record.environment is not None
    assert f"; tested on {record.environment.host} (cpu, fp32, " in note
    unmarked = [
        one for one in record.notes if "3 of 8 answers were taken over from an earlier version" in one
    ]
    assert bool(unmarked) == forgotten  # whoever notes where also marks answers that were cut
    assert not (folder_of(config, record) / PLACES).exists()
    alone = run_cell(small(tmp_path, cache, study="alone"))
    assert alone.blocks == record.blocks
    assert [one for one in alone.notes if "elsewhere" in one] == []


def test_a_test_begun_by_a_version_that_wrote_each_batchs_answers_apart_says_so(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from instruct_ablate.model.decoding import engine_native

    config = small(tmp_path, cache, study="earlier")
    with monkeypatch.context() as there:
        there.setattr(engine_native, "together", lambda *_: 0)
        power_goes_after_three(there)
        assert run_cell(config).state == "failed"
    (note,) = (note for note in run_cell(config).notes if "predictions were made elsewhere" in note)
    before, after = note.split("; tested on ")
    assert "3 of 8 on " in before
    assert "together" not in before
    assert after.endswith(f", last answers of {engine_native.GROUP} batches written together)")


def test_a_cell_that_another_machine_tests_says_what_trained_it(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from instruct_ablate.model.training.resume import stretches

    config = small(tmp_path, cache)
    with monkeypatch.context() as there:
        there.setattr("socket.gethostname", lambda: "trainer")
        there.setattr(stretches, "this_cell", lambda: SimpleNamespace(company=3))
        there.setattr("instruct_ablate.cell.run.stages._tests", lambda *_: 1 / 0)
        assert run_cell(config).state == "failed"
    record = run_cell(config)
    assert record.state == "done"
    assert record.environment is not None
    assert record.environment.fused == 3
    (note,) = (note for note in record.notes if note.startswith("trained on "))
    assert note.startswith("trained on trainer (cpu, fp32, ")
    assert f"; tested on {record.environment.host} (cpu, fp32, " in note
    alone = run_cell(small(tmp_path, cache, study="alone"))
    assert alone.environment is not None
    assert (alone.environment.fused, [one for one in alone.notes if "trained on" in one]) == (0, [])


@pytest.mark.parametrize(("model", "told"), [(None, True), ("copy_demonstration", True), ("majority", False)])
def test_answers_that_prompts_show_are_noted_where_they_are_read(
    model: str | None, told: bool, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instruct_ablate.cell.run.stages.shown_answers_note", lambda *_: "9 are shown")
    changes = {"model": ModelConfig(model, source="baseline")} if model else {}
    record = run_cell(small(tmp_path, cache, data_budget=BudgetConfig(0), **changes))
    assert record.state == "done", record.failure
    assert ("test, original: 9 are shown" in record.notes) == told


def test_the_folder_says_what_was_hashed_and_asked_for(tmp_path: Path, cache: Path) -> None:
    config = small(tmp_path, cache, model=ModelConfig("majority", source="baseline"), seed=7)
    record = run_cell(config)
    folder = folder_of(config, record)
    assert json.loads((folder / "identity.json").read_text())["identity"] == record.identity
    assert "seed: 7" in (folder / "config.yaml").read_text()
    assert replace(record, state="done") == record


TWICE = """
from dataclasses import replace
from instruct_ablate.instruction.variant import variant


@variant("examples")
def twice_{tmp}(task, context):
    (first, *_) = task.positive_examples
    return replace(task, positive_examples=(replace(first, output="{answer}"),))
"""


def test_a_warm_process_sees_an_edited_extension(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two cells one after the other, the file edited in between within the same second."""
    monkeypatch.setitem(VARIANTS, "examples", dict(VARIANTS["examples"]))  # its variant is this test's alone
    name, file = tmp_path.name.replace("-", "_"), tmp_path / "edited_between_cells.py"
    config = small(
        tmp_path,
        cache,
        model=ModelConfig("copy_demonstration", source="baseline"),
        evaluation=EvaluationConfig([f"twice_{name}"]),
        extensions=[str(file)],
    )
    said = []
    for answer in ("one", "two"):
        file.write_text(TWICE.format(tmp=name, answer=answer))
        os.utime(file, (1_000_000_000,) * 2)
        record = run_cell(config)
        assert record.state == "done", record.failure
        rows = read_predictions(folder_of(config, record) / record.blocks[0].predictions)
        said.append((record.identity, {row.prediction for row in rows}))
    assert [texts for _, texts in said] == [{"one"}, {"two"}]
    assert said[0][0] != said[1][0]


def test_a_warm_process_sees_an_edited_data_file(tmp_path: Path, cache: Path) -> None:
    """The same, of a data file, with the size and the time it had."""
    file = tmp_path / "data.json"
    config = small(
        tmp_path,
        cache,
        tasks=TasksConfig("instruction_json", root=str(file)),
        model=ModelConfig("copy_input", source="baseline"),
    )
    said = []
    for answer in ("one", "two"):
        records = [{"instruction": f"Repeat {n}.", "input": answer, "output": answer} for n in range(40)]
        file.write_text(json.dumps(records))
        os.utime(file, (1_000_000_000,) * 2)
        record = run_cell(config)
        assert record.state == "done", record.failure
        rows = read_predictions(folder_of(config, record) / record.blocks[0].predictions)
        said.append((record.identity, {(row.prediction, row.references) for row in rows}))
    assert [texts for _, texts in said] == [{("one", ("one",))}, {("two", ("two",))}]
    assert said[0][0] != said[1][0]


def test_a_cell_is_trained_once_and_tested_under_every_template_of_its_set(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the second of four tests: what is predicted stays, and the first template's are those of it alone."""
    from instruct_ablate.model.decoding import predict as generate

    names = ("set_12/bars", "alpaca")
    tests = EvaluationConfig(["same", "delusive"], at=[0.5], at_instances=4)
    config = small(tmp_path, cache, prompt=PromptConfig("+".join(names), 512, 4), evaluation=tests)
    real, asked, stopped = generate.predict, list[str](), list[bool]()

    def stops(checkpoint: Any, prompts: Any, config: Any, finished: Any, *more: Any) -> Any:
        for prediction in real(checkpoint, prompts, config, finished, *more):
            if len(asked) == 8 + 3 and not stopped:
                stopped.append(True)
                raise RuntimeError("the power went")
            if len(prompts) == 8:  # not a sample while training
                asked.append(prediction.prompt.source)
            yield prediction

    monkeypatch.setattr(generate, "predict", stops)
    assert run_cell(config).state == "failed"
    record = run_cell(config)
    assert record.state == "done", record.failure
    assert [block.key for block in record.blocks] == [
        BlockKey(label, template) for label in BLOCKS for template in names
    ]
    assert len({block.predictions for block in record.blocks}) == 4
    assert record.cost.evaluate_instances == 5 + 8 + 8
    assert len(asked) == len(set(asked)) == 4 * 8
    points = read_points(folder_of(config, record) / FILE)
    assert [(one.tested, one.instances) for one in points] == [("original", 4), ("delusive", 4)]
    rows = [read_predictions(folder_of(config, record) / block.predictions) for block in record.blocks]
    assert rows[0][0].prompt.startswith("task: ")
    assert rows[1][0].prompt.startswith("Below is an instruction")
    alone = small(tmp_path, cache, prompt=PromptConfig("set_12/bars", 512, 4), evaluation=tests)
    (first, other) = run_cell(alone).blocks
    assert (first.predictions, other.instruction) == ("predictions/original.jsonl", "delusive")
    assert (first.scores, other.scores) == (record.blocks[0].scores, record.blocks[2].scores)


def test_a_cell_of_a_set_is_taken_over_with_all_its_templates(tmp_path: Path, cache: Path) -> None:
    changes = {"prompt": PromptConfig("plain+alpaca", 512, 4), "data_budget": BudgetConfig(0)}
    done = run_cell(small(tmp_path, cache, **changes))
    other = run_cell(small(tmp_path, cache, study="other", **changes))
    assert any("taken over" in note for note in other.notes)
    assert [block.key for block in other.blocks] == [block.key for block in done.blocks]


def test_a_set_s_file_that_changes_while_its_cell_starts_stops_it(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("- {name: a, input: 'In {input}', output: 'Out {output}'}")
    config = small(tmp_path, cache, prompt=PromptConfig(str(file), 512, 4), data_budget=BudgetConfig(0))

    def work_on_others(job: Any) -> Any:
        file.write_text("- {name: a, input: 'IN {input}', output: 'OUT {output}'}")
        return work(job)

    record = run_cell(config, work_on_others)
    assert record.failure is not None
    assert "the set of templates changed" in record.failure.reason
