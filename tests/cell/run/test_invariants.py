from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from instruct_ablate.cell.run.evaluation import file_name, score_block
from instruct_ablate.cell.run.invariants import check_block, check_inputs, check_weights
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.identity import Data, Identity
from instruct_ablate.cell.state.record.prediction_writer import PredictionWriter
from instruct_ablate.cell.state.record.predictions import PredictionRow, make_row
from instruct_ablate.errors import BrokenInvariantError
from instruct_ablate.metrics import score_prediction
from instruct_ablate.prompt.prompt import Likelihood, Prediction, Prompt
from instruct_ablate.schema import BudgetConfig
from tests.cell.run.test_stages import cache, small
from tests.report.cells import place

__all__ = ["cache"]  # a fixture
LABELS = ("yes", "no")


def prompt(number: int, task: str = "judge", **changes: Any) -> Prompt:
    right = LABELS[number % 2]
    made = Prompt(
        task, "Judging", "classification", f"i{number}", f"Is it {number}?", (right,), right, LABELS
    )
    return replace(made, **changes)


def row(asked: Prompt, text: str, expected: bool = False) -> PredictionRow:
    score = score_prediction(text, asked.references, asked.choices)
    return make_row(Prediction(asked, text), score, expected=expected)


PROMPTS = tuple(prompt(number) for number in range(10))
RIGHT = tuple(row(asked, asked.target) for asked in PROMPTS)
LIKELY = tuple(replace(one, likelihoods=(Likelihood(-1.0, 1, 3),)) for one in RIGHT)


def checked(
    folder: Path, rows: Sequence[PredictionRow], prompts: Sequence[Prompt] = PROMPTS, **changes: Any
) -> tuple[str, ...]:
    """Write the rows and check their block, changed as told."""
    (folder / file_name("original")).unlink(missing_ok=True)
    with PredictionWriter(folder / file_name("original")) as writer:
        for one in rows:
            writer.append(one)
        writer.finish()
    return check_block(folder, replace(score_block("original", rows), **changes), prompts)


def test_a_block_that_agrees_with_its_rows_has_nothing_to_note(tmp_path: Path) -> None:
    assert checked(tmp_path, RIGHT) == ()
    assert checked(tmp_path, RIGHT[::-1]) == ()
    assert checked(tmp_path, [replace(one, prompt="") for one in RIGHT]) == ()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (RIGHT[1:], "9 predictions for 10 test instances"),
        ((*RIGHT, RIGHT[0]), "11 predictions for 10 test instances"),
        ((*RIGHT[1:], RIGHT[1]), "1 prediction is of an instance that has one already"),
        ((*RIGHT[1:], replace(RIGHT[0], instance_id="i99")), "judge, i0 has no prediction"),
        ((*RIGHT[1:], replace(RIGHT[0], task="other")), "judge, i0 has no prediction"),
        (
            (replace(RIGHT[0], references=("no",)), *RIGHT[1:]),
            "judge, i0 was scored against other references",
        ),
        ((replace(RIGHT[0], choices=("yes", "so")), *RIGHT[1:]), "scored against other references"),
        (
            (replace(RIGHT[0], word_rule="unicode"), *RIGHT[1:]),
            "cut into words by another rule than the task's",
        ),
        ((*RIGHT[:9], replace(RIGHT[9], prompt="Is it 8?")), "judge, i9 was predicted from another prompt"),
        ((*LIKELY[:9], RIGHT[9]), "1 of 10 predictions lack the likelihoods"),
        (
            (*LIKELY[:9], replace(RIGHT[9], likelihoods=(Likelihood(math.nan, 1, 3),))),
            "judge, i9 has a reference whose log-probability is no number",
        ),
    ],
)
def test_rows_that_are_not_one_a_prompt_are_refused(
    tmp_path: Path, rows: Sequence[PredictionRow], message: str
) -> None:
    with pytest.raises(
        BrokenInvariantError, match=rf"original, predictions/original.jsonl: .*{message}.*folder"
    ):
        checked(tmp_path, rows)


def test_scores_that_are_not_the_mean_of_the_rows_are_refused(tmp_path: Path) -> None:
    scores = score_block("original", RIGHT).scores
    for metric, _ in scores.overall.values:
        values = tuple((name, 7.0 if name == metric else value) for name, value in scores.overall.values)
        wrong = replace(scores, overall=replace(scores.overall, values=values))
        name = f"scores.overall.values.{metric}"
        with pytest.raises(BrokenInvariantError, match=rf"{name} is 7.0 in the record, but not by"):
            checked(tmp_path, RIGHT, scores=wrong)
    with pytest.raises(BrokenInvariantError, match=r"scores.tasks.judge.score.* is missing in the record"):
        checked(tmp_path, RIGHT, scores=replace(scores, tasks=()))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_scores_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    rows = (replace(RIGHT[0], values=(*RIGHT[0].values, ("mine", value))), *RIGHT[1:])
    with pytest.raises(BrokenInvariantError, match=rf"scores.overall.*mine is {value}"):
        checked(tmp_path, rows)


def test_empty_answers_and_answers_outside_the_label_space_are_noted(tmp_path: Path) -> None:
    rows = [row(PROMPTS[0], " "), *RIGHT[1:]]
    assert checked(tmp_path, rows) == (
        "test, original: 1 of 10 predictions are empty (10%)",
        "test, original: 1 of 10 answers to classification tasks lie outside the label space (10%)",
    )
    free = [replace(one, choices=None, prediction="perhaps") for one in RIGHT]
    asked = [replace(one, choices=None) for one in PROMPTS]
    assert checked(tmp_path, free, asked) == ()
    assert checked(tmp_path, [replace(one, prediction="Yes.") for one in RIGHT[:1]], PROMPTS[:1]) == ()


def test_one_answer_for_all_of_a_task_is_noted(tmp_path: Path) -> None:
    nearly = [row(asked, "no" if asked.instance_id == "i3" else "yes") for asked in PROMPTS]
    (note,) = checked(tmp_path, nearly)
    assert "1 of 1 classification task with several labels got one answer for 90%" in note
    assert "judge: 'yes'" in note
    fewer = [row(asked, "no" if asked.instance_id in ("i3", "i5") else "yes") for asked in PROMPTS]
    assert checked(tmp_path, fewer) == ()
    assert checked(tmp_path, nearly[:9], PROMPTS[:9]) == ()  # too few to say so


def test_one_answer_is_right_where_the_references_are_all_the_same(tmp_path: Path) -> None:
    asked = [prompt(2 * number) for number in range(10)]
    assert checked(tmp_path, [row(one, "yes") for one in asked], asked) == ()


def test_expected_scores_have_no_text_to_judge(tmp_path: Path) -> None:
    assert checked(tmp_path, [row(asked, "", expected=True) for asked in PROMPTS]) == ()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_one_weight_that_is_no_number_is_enough(value: float, dtype: torch.dtype) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)).to(dtype)
    check_weights(model, trained=True)
    model[1].weight.data[1, 2] = value
    with pytest.raises(
        BrokenInvariantError, match=r"1 of the model's 4 weights .*\(1.weight\) after training"
    ):
        check_weights(model, trained=True)
    with pytest.raises(BrokenInvariantError, match="as loaded"):
        check_weights(model, trained=False)


def test_large_weights_are_no_fault() -> None:
    model = torch.nn.Linear(100, 2)
    model.weight.data.fill_(3e38)  # their sum is infinite, they are not
    check_weights(model, trained=True)


def test_a_cell_that_breaks_an_invariant_fails_and_says_why(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(job: Any, collection: Any, checkpoint: Any) -> Any:
        from instruct_ablate.cell.run.training import Trained
        from instruct_ablate.cell.state.record.record import Drawn
        from instruct_ablate.cost import Cost

        next(checkpoint.model.parameters()).data[0, 0] = math.nan
        return Trained(Cost(), Drawn(1, 1))

    monkeypatch.setattr("instruct_ablate.cell.run.training.train", train)
    record = run_cell(small(tmp_path, cache))
    assert record.state == "failed"
    assert record.failure is not None
    assert "NaN or infinite" in record.failure.reason
    assert record.blocks == ()


def test_a_cell_whose_rows_do_not_fit_fails(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from instruct_ablate.cell.run import stages

    whole = stages.evaluate

    def evaluate(job: Any, checkpoint: Any, label: str, prompts: Sequence[Prompt], template: str) -> Any:
        return whole(job, checkpoint, label, prompts[1:], template)

    monkeypatch.setattr(stages, "evaluate", evaluate)
    record = run_cell(small(tmp_path, cache, data_budget=BudgetConfig(0)))
    assert (record.state, record.failure and "7 predictions for 8" in record.failure.reason) == (
        "failed",
        True,
    )


@pytest.mark.parametrize("what", ["data", "checkpoint"])
def test_a_cell_whose_inputs_change_as_it_starts_fails(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Between its identity and the reading of its files: the result would stand under another's name."""
    name, before = BEFORE[what]
    monkeypatch.setattr(f"instruct_ablate.cell.state.identity.{name}", lambda config: before)
    record = run_cell(small(tmp_path, cache, data_budget=BudgetConfig(0)))
    assert record.state == "failed"
    assert record.failure is not None
    assert "changed while the cell started" in record.failure.reason


BEFORE = {
    "data": ("_data", Data("as it was before")),
    "checkpoint": ("weights_fingerprint", "as it was before"),
}


def test_inputs_that_are_others_than_the_cell_is_known_by_are_refused() -> None:
    identity = Identity("ab", "n", place(), 0, "d", {"data": "d", "checkpoint": "c"})
    check_inputs(identity, "d")
    check_inputs(identity, "d", "c")
    with pytest.raises(BrokenInvariantError, match=r"^the data changed while the cell started"):
        check_inputs(identity, "e", "c")
    with pytest.raises(BrokenInvariantError, match=r"^the model's files changed while the cell started"):
        check_inputs(identity, "d", "e")


def test_an_order_of_tasks_that_is_another_than_the_cell_is_known_by_is_refused() -> None:
    trained = Identity("ab", "n", place(), 0, "d", {"data": "d"}, order="usual")
    check_inputs(trained, "d", order="usual")
    check_inputs(trained, "d")  # who reads no training tasks says nothing of them
    with pytest.raises(BrokenInvariantError, match=r"^the order of the training tasks changed while"):
        check_inputs(trained, "d", order="0f1e2d3c4b5a")
    check_inputs(replace(trained, order=""), "d", order="0f1e2d3c4b5a")  # untuned, or of an earlier version
