import pytest

from instruct_ablate.errors import UserErrors
from instruct_ablate.tasks.intake.choice_check import check_choices, unanswerable, with_real_choices
from instruct_ablate.tasks.task import Instance
from tests.conftest import make_task


def task(right, wrong, **changes):
    answers = [*["positive"] * right, *["something else"] * wrong]
    instances = tuple(Instance(str(at), "x", (text,)) for at, text in enumerate(answers))
    return make_task("t", instances=instances, **changes)


def test_rows_that_no_choice_answers_are_counted():
    assert unanswerable(task(3, 2)) == 2
    assert unanswerable(task(3, 2, label_space=None)) == 0, "generation has no choices"
    assert unanswerable(make_task(instances=(Instance("0", "x", ("else", " Positive. ")),))) == 0
    own = tuple((str(at), ("something else", "b")) for at in range(5))
    assert unanswerable(task(3, 2, label_space=None, answer_choices=own)) == 3


def test_few_are_noted_and_many_refused():
    assert check_choices([task(9, 1)]) == (
        "t: 1 of 10 rows have a target that is none of their choices: no choice is right there",
    )
    assert check_choices([task(9, 0)]) == ()
    with pytest.raises(UserErrors) as caught:
        check_choices([task(8, 1), task(0, 2)])
    assert len(caught.value.faults) == 2
    assert "t: 1 of 9 rows have" in caught.value.faults[0]
    assert "'something else' is not among 'positive', 'negative'. At most 10%" in caught.value.faults[0]
    assert len(check_choices([task(0, 2)], as_given={"t"})) == 1


def test_rows_without_an_answer_are_noted_alone():
    empty = make_task(instances=(Instance("0", "x", (" ",)), Instance("1", "x", ("positive",))))
    assert unanswerable(empty) == 1
    assert len(check_choices([empty])) == 1


def test_one_label_is_no_classification():
    (made,), (note,) = with_real_choices([make_task(label_space=("2", " 2"))])
    assert (made.label_space, made.kind) == (None, "generation")
    assert note == "task1_sentiment: its only label is '2': no classification, it is scored as generation"
    (made,), _ = with_real_choices([make_task(label_space=())])
    assert made.label_space is None


def test_one_choice_a_row_is_none_unless_other_rows_have_more():
    one = tuple((f"task1_sentiment-{at}", ("a",)) for at in range(6))
    (made,), (note,) = with_real_choices([make_task(label_space=None, answer_choices=one)])
    assert (made.answer_choices, made.kind) == ((), "generation")
    assert "every row has one answer choice" in note
    mixed = (*one[:5], ("task1_sentiment-5", ("a", "b")))
    (made,), (note,) = with_real_choices([make_task(label_space=None, answer_choices=mixed)])
    assert made.answer_choices == mixed
    assert "5 of 6 rows have one answer choice" in note


def test_others_stay_as_they_are():
    given = (make_task(), make_task("free", label_space=None))
    assert with_real_choices(given) == (given, ())


def test_rows_without_choices_among_others_are_noted():
    some = task(3, 0, label_space=None, answer_choices=(("0", ("positive", "b")),))
    made, notes = with_real_choices([some])
    assert made[0].kind == "generation"
    assert notes[0].startswith("t: 2 of 3 rows have no answer choices: it is scored as generation")
