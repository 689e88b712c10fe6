from __future__ import annotations

import json
from pathlib import Path

import pytest

from instruct_ablate.cell.run.evaluation import (
    _complete,
    evaluate,
    file_name,
    prompts_at_test,
    score_block,
    write_rows,
)
from instruct_ablate.cell.run.job import Job
from instruct_ablate.cell.run.stages import Words
from instruct_ablate.cell.state.heartbeat import Heartbeat, this_process
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record.predictions import (
    PredictionRow,
    discard,
    make_row,
    partial_path,
    read_predictions,
)
from instruct_ablate.cell.state.record.record import BlockKey, ScoreBlock
from instruct_ablate.errors import UserError
from instruct_ablate.metrics import score_prediction
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.prompt.prompt import Prediction, Prompt
from instruct_ablate.schema import InstructionConfig
from instruct_ablate.tasks.task import TaskCollection
from tests.conftest import make_task
from tests.model.decoding_cases import make_checkpoint
from tests.standins import make_config, replace_inputs


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    replace_inputs(monkeypatch)
    config = make_config(tmp_path)
    return Job(config, identify(config), tmp_path, Heartbeat(tmp_path, this_process()))


def prompts(job: Job) -> tuple[Prompt, ...]:
    return prompts_at_test(
        job.config, TaskCollection("x", (), (make_task(),), ""), InstructionConfig(), Words()
    )


def row(prompt: Prompt, text: str = "positive") -> PredictionRow:
    return make_row(Prediction(prompt, text), score_prediction(text, prompt.references, prompt.choices))


def test_prompts_are_built_for_every_test_instance(job: Job) -> None:
    assert [prompt.instance_id for prompt in prompts(job)] == [f"task1_sentiment-{i}" for i in range(6)]


def test_no_test_instances_is_told(job: Job) -> None:
    empty = TaskCollection("x", (), (make_task(count=0),), "")
    with pytest.raises(UserError, match="there are no test instances"):
        prompts_at_test(job.config, empty, InstructionConfig(), Words())


def test_rows_are_written_and_averaged(job: Job) -> None:
    block = write_rows(job, "original", [row(prompt) for prompt in prompts(job)])
    assert (block.instruction, block.predictions) == ("original", "predictions/original.jsonl")
    assert block.key == BlockKey("original", "tk_instruct", 1.0)
    assert block.scores.overall.get("exact_match") == pytest.approx(50.0)
    again = write_rows(job, "original", [row(prompt, "negative") for prompt in prompts(job)])
    assert again.scores.overall.instances == 6
    assert {one.prediction for one in read_predictions(job.folder / again.predictions)} == {"negative"}


def test_a_missing_answer_is_an_error_and_never_averaged_over(job: Job) -> None:
    asked = prompts(job)
    rows = [row(prompt) for prompt in asked]
    by_key = {one.key: one for one in reversed(rows)}
    assert _complete(by_key, asked) == tuple(rows)
    with pytest.raises(RuntimeError, match="1 of 6 prompts were not answered"):
        _complete({one.key: one for one in rows[1:]}, asked)


def test_scores_of_a_block_are_of_its_own_rows(job: Job) -> None:
    rows = [row(prompt, prompt.references[0]) for prompt in prompts(job)]
    assert score_block("same", rows).scores.overall.get("exact_match") == pytest.approx(100.0)


def test_labels_become_file_names() -> None:
    assert file_name("deleted(0.2)+delusive") == "predictions/deleted(0.2)+delusive.jsonl"
    assert file_name("my.module/variant") == "predictions/my.module_variant.jsonl"


ASKED = ["reference_log_likelihood"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return make_checkpoint("tiny_llama", tmp_path_factory.mktemp("cache"))


def evaluated(job: Job, tiny: Checkpoint, metrics: list[str]) -> tuple[ScoreBlock, bytes]:
    job.config.evaluation.metrics, job.config.prompt.max_target_length = metrics, 4
    block = evaluate(job, tiny, "original", prompts(job)).block
    return block, (job.folder / block.predictions).read_bytes()


def test_a_resumed_evaluation_has_the_model_s_values_to_the_last_bit(job: Job, tiny: Checkpoint) -> None:
    block, whole = evaluated(job, tiny, ASKED)
    assert block.scores.overall.get("reference_log_likelihood") is not None
    path = job.folder / block.predictions
    partial_path(path, 0).write_bytes(b"".join(whole.splitlines(keepends=True)[:2]) + b'{"task": "ha')
    path.unlink()
    assert evaluated(job, tiny, ASKED) == (block, whole)


@pytest.mark.parametrize("before", [[], ASKED])
def test_a_change_of_metrics_in_between_gives_what_was_asked_for_last(
    job: Job, tiny: Checkpoint, before: list[str]
) -> None:
    """Rows without likelihoods are predicted again where these are read; not read any more, they are dropped."""
    after = [] if before else ASKED
    expected = evaluated(job, tiny, after)
    discard(job.folder / expected[0].predictions)
    block, rows = evaluated(job, tiny, before)
    path = job.folder / block.predictions
    partial_path(path, 0).write_bytes(b"".join(rows.splitlines(keepends=True)[:2]))
    path.unlink()
    assert evaluated(job, tiny, after) == expected
    texts = [[json.loads(line)["prediction"] for line in part.splitlines()] for part in (rows, expected[1])]
    assert texts[0] == texts[1], "the model's answers do not hang on what else it is asked"


def test_one_of_several_templates_is_named_in_its_file() -> None:
    assert file_name("original", "set_12/bars") == "predictions/original--set_12_bars.jsonl"
    long = [file_name("x" * 90, f"set_12/{end}") for end in ("aaaaaaaaaaaa", "aaaaaaaaaaab")]
    assert len(set(long)) == 2
