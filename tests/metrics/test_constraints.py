from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from instruct_ablate.constraints import language, make, to_text
from instruct_ablate.errors import UserError
from instruct_ablate.metrics import Selection, aggregate, find_measure, score_predictions
from instruct_ablate.metrics.constraints import ALL, INSTRUCTION_STRICT, PROMPT_LOOSE, check_tested
from instruct_ablate.metrics.registry import built_in
from instruct_ablate.prompt.prompt import Likelihood, Prediction, Prompt
from instruct_ablate.tasks.task import Instance, Task

SHORT = to_text(make("words", relation="at most", count=3))
LOWER = to_text(make("case", case="lower"))
BULLET = to_text(make("items", relation="exactly", count=1))
METRICS = Selection((PROMPT_LOOSE,)).load()


def prediction(text: str, *references: str, task: str = "t", name: str = "1") -> Prediction:
    prompt = Prompt(task, "c", "generation", name, "", references, references[0])
    return Prediction(prompt, text)


# Strictly 1 of 1, 1 of 2 and 0 of 3 are kept, of which the first alone is whole; loosely 1, 2 and 0.
ANSWERS = (
    prediction("two words", SHORT, name="1"),
    prediction("Sure!\nall in small letters", SHORT.replace("3", "5"), LOWER, name="2"),
    prediction("Well: it is so\nall quite Wrong here", SHORT, LOWER, BULLET, name="3"),
)


def test_who_names_one_gets_all_four():
    own = [one.name for one in METRICS if not one.is_built_in]
    assert sorted(own) == sorted(ALL)
    assert len(Selection(ALL).load()) == len(built_in()) + 4
    assert all(find_measure(name).kind == "generation" for name in ALL)


def test_the_four_numbers_by_hand():
    scores = aggregate(ANSWERS, score_predictions(ANSWERS, METRICS))
    for where in (scores.overall, scores.tasks[0].score, scores.task_mean, scores.kinds[0]):
        found = [round(where.get(name) or 0.0, 4) for name in ALL]
        assert found == [33.3333, 33.3333, 66.6667, 50.0]  # of 3 prompts; of 6 constraints: 2 and 3


def test_constraints_weigh_alike_within_a_task_and_tasks_alike_among_each_other():
    other = replace(ANSWERS[2].prompt, task="u")
    moved = (*ANSWERS[:2], replace(ANSWERS[2], prompt=other))
    scores = aggregate(moved, score_predictions(moved, METRICS))
    assert scores.overall.get(INSTRUCTION_STRICT) == pytest.approx(100 * 2 / 6)
    assert [round(one.score.get(INSTRUCTION_STRICT) or 0.0, 2) for one in scores.tasks] == [66.67, 0.0]
    assert scores.task_mean.get(INSTRUCTION_STRICT) == pytest.approx(100 * (2 / 3) / 2)


def test_nothing_that_compares_with_a_right_output_is_defined_there():
    from instruct_ablate.metrics.likelihood import PER_TOKEN

    likely = tuple(replace(one, likelihoods=(Likelihood(-1.0, 2, 3),)) for one in ANSWERS[:1])
    (score,) = score_predictions(likely, Selection((*ALL, PER_TOKEN)).load())
    assert {name for name, _ in score.values} == set(ALL)


def test_they_are_not_defined_elsewhere():
    (score,) = score_predictions([prediction("yes", "yes")], METRICS)
    assert not {name for name, _ in score.values} & set(ALL)
    assert score.get("rougeL") == 1.0


def test_an_empty_answer_keeps_to_nothing():
    (score,) = score_predictions([prediction("", SHORT, LOWER)], METRICS)
    assert [score.get(name) for name in ALL] == [0.0] * 4


def checked_task(*references: str) -> Task:
    return Task("t", "Do it.", (Instance("1", "Please.", references),))


def test_answers_that_constraints_check_need_a_metric_that_reads_them():
    with pytest.raises(
        UserError, match=r"^t: its answers .* evaluation\.metrics reads them: add prompt_level_strict"
    ):
        check_tested([checked_task("yes"), checked_task(SHORT)], Selection().load())
    check_tested([checked_task(SHORT)], METRICS)
    check_tested([checked_task("yes")], Selection().load())
    check_tested([Task("empty", "Do it.", ())], Selection().load())


def test_a_language_that_nothing_here_can_tell_is_refused_before_the_start(monkeypatch):
    language._identifier.cache_clear()
    monkeypatch.setitem(sys.modules, "py3langid", None)
    check_tested([checked_task(SHORT)], METRICS)
    for asked in (make("language", language="de"), make("case", language="en")):
        with pytest.raises(UserError, match="py3langid, which tells languages, is not installed"):
            check_tested([checked_task(to_text(asked))], METRICS)
