from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.baselines import BASELINES, expected_maximum, predict_baseline
from instruct_ablate.errors import UserError
from instruct_ablate.metrics import aggregate
from instruct_ablate.metrics.built_in import guess_chance
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.task import Example, Instance, Task
from tests.conftest import make_task


def prompts_of(*tasks: Task) -> list[Prompt]:
    return [
        Prompt(t.name, t.category, t.kind, i.id, "", i.references, i.references[0], t.label_space)
        for t in tasks
        for i in t.instances
    ]


def uneven(count: int = 100, right: int = 70) -> Task:
    """A task whose second label is right in `right` of `count` instances."""
    given = tuple(
        Instance(str(i), f"input {i}", ("negative" if i < right else "positive",)) for i in range(count)
    )
    return make_task(instances=given)


GENERATION = make_task("task2_generate", label_space=None)


def texts(name: str, *tasks: Task, seed: int = 0) -> list[str]:
    return [p.text for p in predict_baseline(name, prompts_of(*tasks), tasks, seed).predictions]


def test_majority_takes_the_most_frequent_right_label() -> None:
    assert set(texts("majority", uneven())) == {"negative"}
    assert set(texts("majority", uneven(right=50))) == {"positive"}  # a tie: the label space's first


def test_label_prior_draws_labels_as_often_as_they_are_right() -> None:
    drawn = texts("label_prior", uneven(2000, 1400))
    assert drawn.count("negative") / len(drawn) == pytest.approx(0.7, abs=0.04)
    assert drawn == texts("label_prior", uneven(2000, 1400))
    assert drawn != texts("label_prior", uneven(2000, 1400), seed=1)


def test_label_prior_does_not_depend_on_the_order() -> None:
    task = uneven()
    backward = replace(task, instances=task.instances[::-1])
    assert texts("label_prior", backward) == texts("label_prior", task)[::-1]


def test_copying() -> None:
    task = make_task()
    assert texts("copy_input", task) == [instance.input for instance in task.instances]
    assert set(texts("copy_demonstration", task)) == {"positive"}
    delusive = replace(task, positive_examples=(Example("Fine.", "negative"),))
    assert set(texts("copy_demonstration", delusive)) == {"negative"}
    assert set(texts("copy_demonstration", replace(task, positive_examples=()))) == {""}


@pytest.mark.parametrize("name", ["majority", "label_prior", "uniform_guess"])
def test_no_label_space_no_answer_and_no_score(name: str) -> None:
    answers = predict_baseline(name, prompts_of(GENERATION), [GENERATION])
    assert {p.text for p in answers.predictions} == {""}
    assert {(s.get("exact_match"), s.get("rougeL"), s.get("format_correctness")) for s in answers.scores} == {
        (0.0, 0.0, None)
    }


def test_choices_that_differ_by_instance_are_meant_by_position() -> None:
    choices = (("cat", "dog"), ("red", "blue"), ("up", "down"))
    prompts = [
        Prompt("t", "c", "classification", str(i), "", (pair[1],), pair[1], pair)
        for i, pair in enumerate(choices)
    ]
    answers = predict_baseline("majority", prompts, [])
    assert [p.text for p in answers.predictions] == ["dog", "blue", "down"]


def test_unknown_names_and_tasks_are_users_errors() -> None:
    with pytest.raises(UserError, match="did you mean 'majority'"):
        predict_baseline("majorty", [], [])
    with pytest.raises(UserError, match="not among the 0 tasks"):
        predict_baseline("copy_input", prompts_of(make_task()), [])
    with pytest.raises(UserError, match="tries=0"):
        predict_baseline("uniform_guess", prompts_of(make_task()), [], tries=0)


def test_every_baseline_answers_every_prompt() -> None:
    tasks = (make_task(), GENERATION)
    for name in BASELINES:
        answers = predict_baseline(name, prompts_of(*tasks), tasks)
        assert [p.prompt for p in answers.predictions] == prompts_of(*tasks)
        assert len(answers.scores) == 12
        assert answers.expected is (name == "uniform_guess")


def test_uniform_guess_is_an_expectation() -> None:
    task = make_task(label_space=("positive", "negative", "very negative", "mixed"))
    answers = predict_baseline("uniform_guess", prompts_of(task), [task])
    scores = aggregate(answers.predictions, answers.scores)
    assert scores.overall.get("exact_match") == scores.overall.get("uniform_guess") == 25
    assert scores.overall.get("format_correctness") == 100
    assert answers.scores[1].get("rougeL") == pytest.approx((1 + 2 / 3) / 4)  # "very negative" half right


def test_expected_maximum_is_what_sampling_finds() -> None:
    draw = random.Random(0)
    chances = [0.5] * 6 + [0.25] * 4
    best = [max(sum(draw.random() < c for c in chances) for _ in range(5)) / 10 for _ in range(20_000)]
    assert expected_maximum(chances, 5) == pytest.approx(sum(best) / len(best), abs=0.003)


def test_expected_maximum_of_alike_chances_is_the_binomials() -> None:
    n, p, tries = 20, 1 / 3, 7
    below = [sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(x + 1)) for x in range(n)]
    assert expected_maximum([p] * n, tries) == pytest.approx(sum(1 - f**tries for f in below) / n, abs=1e-12)
    assert expected_maximum([p] * n, 1) == pytest.approx(p)
    assert expected_maximum([1.0] * n, 3) == 1


def test_more_tries_raise_each_tasks_guess_to_the_expected_maximum() -> None:
    task = make_task(count=10)
    answers = predict_baseline("uniform_guess", prompts_of(task), [task], tries=10)
    expected = expected_maximum([0.5] * 10, 10)
    assert {score.get("exact_match") for score in answers.scores} == {expected}
    assert answers.scores[0].get("rougeL") == pytest.approx(expected)
    assert expected > 0.7


# --- real figures ---


@pytest.fixture(scope="module")
def kung_peng(shared: Path) -> dict[str, Any]:
    split: dict[str, Any] = json.loads((shared / "kung_peng" / "split_119.json").read_text())
    return split


def test_uniform_guess_over_the_57_tasks(kung_peng: dict[str, Any]) -> None:
    """2432 of 5700 with the labels as stated; the paper's 2431 counts more than 50 labels in one space.

    Each task's chance is rounded down to a whole number, as the analysis behind Kung & Peng's figure does.
    """
    spaces = list(kung_peng["label_space_yin"].values())
    assert len(spaces) == 57
    chances = [100 * guess_chance(space) for space in spaces]
    assert sum(math.floor(chance + 1e-9) for chance in chances) == 2432
    assert math.fsum(chances) == pytest.approx(2437.1277)
    (large,) = (space for space in spaces if len(space) > 5)
    assert len(large) == 47
    assert 2432 - 100 // 47 + 100 // 51 == 2431


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def real_task(path: Path, classification: set[str]) -> Task:
    raw = json.loads(path.read_text(encoding="utf-8"))
    given = tuple(Instance(i["id"], i["input"], tuple(as_list(i["output"]))) for i in raw["Instances"][:100])
    shown = tuple(Example(e["input"], as_list(e["output"])[0]) for e in raw["Positive Examples"])
    labels = (
        tuple(dict.fromkeys(r for i in given for r in i.references)) if path.stem in classification else None
    )
    return Task(path.stem, "", given, shown, categories=tuple(raw["Categories"]), label_space=labels)


@pytest.fixture(scope="module")
def real(shared: Path, kung_peng: dict[str, Any]) -> list[Task]:
    folder = shared / "natural-instructions"
    names = (folder / "splits" / "default" / "test_tasks.txt").read_text().split()
    classification = {*kung_peng["cls_exact57"], *kung_peng["cls_other1"]}
    return [real_task(folder / "tasks" / f"{name}.json", classification) for name in names]


@pytest.mark.parametrize(("name", "published"), [("copy_input", 14.20), ("copy_demonstration", 28.54)])
def test_copying_scores_as_tk_instruct_published(real: list[Task], name: str, published: float) -> None:
    """All 119 test tasks, 11,810 instances; 16 tasks were put together from other published copies."""
    assert (len(real), sum(len(task.instances) for task in real)) == (119, 11_810)
    answers = predict_baseline(name, prompts_of(*real), real)
    assert round(aggregate(answers.predictions, answers.scores).overall.get("rougeL"), 2) == published


def test_uniform_guess_as_a_cell_agrees_with_the_score_column(real: list[Task]) -> None:
    answers = predict_baseline("uniform_guess", prompts_of(*real), real)
    scores = aggregate(answers.predictions, answers.scores)
    classification = next(kind for kind in scores.kinds if kind.name == "classification")
    spaces = [task.label_space for task in real if task.label_space]
    assert classification.get("exact_match") == pytest.approx(100 * sum(map(guess_chance, spaces)) / 58)
    assert classification.get("exact_match") == pytest.approx(classification.get("uniform_guess"))


def test_majority_counts_as_the_metric_does() -> None:
    """Case and punctuation do not count: "he" is right 3 times, "her" twice, whatever each spelling's number."""
    said = ("her", "her", "He", "he", "he.", "him")
    task = make_task(
        label_space=("her", "he", "him"),
        instances=tuple(Instance(str(n), "x", (o,)) for n, o in enumerate(said)),
    )
    answers = predict_baseline("majority", prompts_of(task), [task])
    assert {one.text for one in answers.predictions} == {"he"}
    assert sum(score.get("exact_match") or 0 for score in answers.scores) == 3


def test_guess_and_best_constant_on_the_exactly_labelled_tasks(shared: Path, tmp_path: Path) -> None:
    """42.76 and 43.77; over all 58, task304 guesses 0.86 where its 7 labels would say 14.29."""
    config = TasksConfig(reader="natural_instructions", root=str(shared / "natural-instructions"))
    exactly = read_tasks(replace(config, test_subset="exactly_labelled"), tmp_path)
    assert len(exactly.test) == 57

    def score(name: str, tasks: Sequence[Task]) -> tuple[float, float]:
        answers = predict_baseline(name, prompts_of(*tasks), tasks)
        of = aggregate(answers.predictions, answers.scores).task_mean
        return round(of.get("exact_match") or 0, 2), round(of.get("uniform_guess") or 0, 2)

    assert score("uniform_guess", exactly.test) == (42.76, 42.76)
    assert score("majority", exactly.test) == (43.77, 42.76)
    (fused,) = (task for task in read_tasks(config, tmp_path).test if task.name.startswith("task304_"))
    assert score("uniform_guess", [fused]) == (0.86, 0.86)


def test_a_guess_of_labels_that_count_as_one_is_half_right_letter_for_letter() -> None:
    prompt = Prompt("t", "c", "classification", "1", "", ("?",), "?", ("?", "!"))
    (score,) = predict_baseline("uniform_guess", [prompt], []).scores
    assert (score.get("exact_match"), score.get("strict_exact_match")) == (1, 0.5)
