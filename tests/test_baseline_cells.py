"""The five baselines as cells on the starter collection, through `train.py`: what comes out is known."""

from __future__ import annotations

import statistics
from collections import Counter
from pathlib import Path

import pytest
from rouge_score.rouge_scorer import RougeScorer
from scipy.stats import binom

from instruct_ablate.cell.state.record.predictions import PredictionRow, read_predictions
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.trained_on import trained_on
from instruct_ablate.metrics import Score
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.task import TaskCollection
from tests.grid.small import records, sweep

NAMES = "uniform_guess,label_prior,majority,copy_input,copy_demonstration"
EACH = 20  # instances of a test task; conf/tasks/starter.yaml
METRIC = '''from instruct_ablate.metrics import metric


@metric("first_word")
def first_word(prediction, references):
    """Whether the first words agree."""
    return float(any(prediction.split()[:1] == reference.split()[:1] for reference in references))
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study in a user's folder: all baselines with a metric of the user's, then the best of five guesses."""
    folder = tmp_path_factory.mktemp("baselines")
    (folder / "my_metrics.py").write_text(METRIC)
    common = ("logger=none", f"cache={folder}/cache")
    for words in (
        (f"model={NAMES}", "evaluation.metrics=[my_metrics.first_word]"),
        ("model=uniform_guess", "model.tries=5"),
    ):
        run = sweep(folder, *words, *common)
        assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def starter(folder: Path) -> TaskCollection:
    return read_tasks(TasksConfig("starter", test_instances=EACH), folder / "cache")


def cell(folder: Path, model: str) -> CellRecord:
    (found,) = [one for one in records(folder).values() if one.setting.model == model]
    assert found.state == "done"
    return found


def rows(folder: Path, model: str) -> tuple[PredictionRow, ...]:
    record = cell(folder, model)
    return read_predictions(folder / "multirun" / "ablation" / record.name / record.blocks[0].predictions)


def kind(record: CellRecord, name: str = "classification") -> Score:
    return next(score for score in record.blocks[0].scores.kinds if score.name == name)


def test_uniform_guess_is_one_over_the_labels(folder: Path, starter: TaskCollection) -> None:
    labels = [len(task.label_space) for task in starter.test if task.label_space]
    assert Counter(labels) == {2: 8, 3: 1, 5: 1}
    score = kind(cell(folder, "uniform_guess"))
    assert score.get("exact_match") == pytest.approx((8 * 50 + 100 / 3 + 20) / 10)
    assert score.get("uniform_guess") == score.get("exact_match")
    assert all(row.expected and not row.prediction for row in rows(folder, "uniform_guess"))


def test_the_best_of_five_guesses(folder: Path, starter: TaskCollection) -> None:
    """Yauney & Mimno (2024): the expected maximum of five binomials, by SciPy's distribution here."""
    best = {
        n: 100 / EACH * sum(1 - binom.cdf(right, EACH, 1 / n) ** 5 for right in range(EACH))
        for n in (2, 3, 5)
    }
    scores = {
        one.score.name: one.score.get("exact_match")
        for one in cell(folder, "uniform_guess_best_of_5").blocks[0].scores.tasks
    }
    for task in starter.test:
        assert scores[task.name] == pytest.approx(best[len(task.label_space)] if task.label_space else 0.0)
    assert kind(cell(folder, "uniform_guess_best_of_5")).get("exact_match") == pytest.approx(
        57.9623, abs=1e-4
    )
    table = build_rows(tuple(records(folder).values()), "original")
    shown = {trained_on(row.setting): mean.value for row in table if (mean := row.mean("exact_match"))}
    assert shown["(uniform_guess)"] == pytest.approx((8 * 50 + 100 / 3 + 20) / 10)
    assert shown["(uniform_guess_best_of_5)"] == pytest.approx(57.9623, abs=1e-4)


def test_majority_and_label_prior(folder: Path, starter: TaskCollection) -> None:
    counts = {
        task.name: Counter(one.references[0] for one in task.instances)
        for task in starter.test
        if task.label_space
    }
    most = statistics.fmean(100 * max(count.values()) / EACH for count in counts.values())
    assert kind(cell(folder, "majority")).get("exact_match") == pytest.approx(most)
    assert most == pytest.approx(53.5)
    drawn = kind(cell(folder, "label_prior"))
    assert drawn.get("exact_match") == pytest.approx(49.0), "drawn by the seed, the same on every machine"
    assert drawn.get("format_correctness") == 100.0
    assert {row.prediction for row in rows(folder, "label_prior") if row.kind == "generation"} == {""}


def test_copying(folder: Path, starter: TaskCollection) -> None:
    tasks = {task.name: task for task in starter.test}
    inputs = {(task.name, one.id): one.input for task in starter.test for one in task.instances}
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    for model in ("copy_input", "copy_demonstration"):
        written, total = rows(folder, model), []
        assert len(written) == 15 * EACH
        for row in written:
            shown = tasks[row.task].positive_examples[0].output
            assert row.prediction == (inputs[row.key] if model == "copy_input" else shown)
            total.append(max(scorer.score(ref, row.prediction)["rougeL"].fmeasure for ref in row.references))
        overall = cell(folder, model).blocks[0].scores.overall
        assert overall.get("rougeL") == pytest.approx(100 * statistics.fmean(total))
    assert kind(cell(folder, "copy_demonstration")).get("exact_match") == pytest.approx(43.5)


def test_a_metric_of_the_user_reaches_the_baselines(folder: Path) -> None:
    for model in ("label_prior", "majority", "copy_input", "copy_demonstration"):
        for row in rows(folder, model):
            right = any(row.prediction.split()[:1] == one.split()[:1] for one in row.references)
            assert row.get("first_word") == float(right)
        assert kind(cell(folder, model)).values[-1][0] == "first_word"
    guessed = kind(cell(folder, "uniform_guess"))
    assert guessed.get("first_word") == pytest.approx(guessed.get("exact_match")), "labels are single words"
