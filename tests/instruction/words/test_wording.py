"""The wording that prompts of a collection share."""

from __future__ import annotations

from instruct_ablate.instruction.words.wording import Wording, shared_wording, strip_wording, without_wording
from instruct_ablate.tasks.task import Instance
from tests.conftest import make_task

WORDS = (("Paris", "France"), ("Rome", "Italy"), ("Oslo", "Norway"))
TEXTS = [f"City: {a}.\n\nIn which country is it? Choose {b} or Spain, please." for a, b in WORDS]


def test_beginning_middle_and_end() -> None:
    assert shared_wording(TEXTS) == Wording(
        "City: ", (".\n\nIn which country is it? Choose",), " or Spain, please."
    )


def test_what_differs_stays() -> None:
    wording = shared_wording(TEXTS)
    assert [strip_wording(text, wording) for text in TEXTS] == [
        "Paris\nFrance",
        "Rome\nItaly",
        "Oslo\nNorway",
    ]


def test_words_shared_by_chance_stay() -> None:
    texts = ["It is the sea I like?", "One of the old?", "At the inn we ate?"]
    assert shared_wording(texts) == Wording()


def test_an_end_that_stands_in_the_content_too_goes_at_the_end() -> None:
    texts = ["Is it so? asks Ann. Is it so?", "Bob went. Is it so?"]
    wording = shared_wording(texts)
    assert strip_wording(texts[0], wording) == "Is it so? asks Ann"
    assert strip_wording(texts[1], wording) == "Bob went"


def test_fewer_than_two_different_texts_have_no_wording() -> None:
    assert shared_wording([]) == shared_wording(["a b c"]) == shared_wording(["a b c", "a b c"]) == Wording()
    assert strip_wording("a  b", Wording()) == "a b"


def test_choices_come_first() -> None:
    task = make_task(instances=(Instance("1", "Say it.", ("x",)),))
    assert without_wording(task, task, {}).instances[0].input == "Say it."
    assert without_wording(task, task, {"1": "Label: x."}).instances[0].input == "Label: x.\nSay it."


def test_the_wording_is_that_of_the_whole_task() -> None:
    whole = make_task(instances=tuple(Instance(str(i), text, ("x",)) for i, text in enumerate(TEXTS)))
    sample = make_task(instances=whole.instances[:1])
    assert without_wording(sample, whole, {}).instances == without_wording(whole, whole, {}).instances[:1]


def test_wording_that_one_text_begins_with_is_whole() -> None:
    texts = ["Oslo. Which country is this city in? Norway", "Which country is this city in? France, Paris"]
    assert shared_wording(texts).middle == ("Which country is this city in?",)


def test_a_stretch_that_only_stands_before_another_one_is_not_shared() -> None:
    one = "x1 tell me the city name y1 which land it is in z1"
    other = "x2 which land it is in y2 tell me the city name z2"
    assert len(shared_wording([one, other]).middle) == 1
    same = "x3 tell me the city name y3 which land it is in z3"
    assert shared_wording([one, same]).middle == ("tell me the city name", "which land it is in")
    assert shared_wording([one, same, same.replace("3", "4")]).middle == (
        "tell me the city name",
        "which land it is in",
    )


def test_a_text_without_the_shared_stretch_has_no_middle() -> None:
    wording = shared_wording(["a1 tell me the city name b1", "a2 tell me the city name b2", "c3 nothing d3"])
    assert wording.middle == ()
