"""The wording that prompts of a collection share."""

from __future__ import annotations

from instruct_ablate.instruction.wording import shared_wording, strip_wording, without_wording
from instruct_ablate.tasks.task import Instance
from tests.conftest import make_task

WORDS = (("Paris", "France"), ("Rome", "Italy"), ("Oslo", "Norway"))
TEXTS = [f"Here is a city: {a}.\n\nIn which country is it? Choose {b} or Spain." for a, b in WORDS]


def test_shared_stretches_in_order() -> None:
    wording = shared_wording(TEXTS)
    assert wording[0].startswith("Here is a city")
    assert any("In which country is it?" in stretch for stretch in wording)
    assert not any(name in stretch for stretch in wording for pair in WORDS for name in pair)


def test_what_differs_stays() -> None:
    left = [strip_wording(text, shared_wording(TEXTS)) for text in TEXTS]
    for text, pair in zip(left, WORDS, strict=True):
        assert all(name in text for name in pair)
        assert "country" not in text


def test_no_texts_no_wording() -> None:
    assert shared_wording([]) == ()
    assert strip_wording("a  b", ()) == "a b"


def test_a_single_instance_keeps_its_text() -> None:
    task = make_task(instances=(Instance("1", "Say it.", ("x",)),))
    assert without_wording(task, {}).instances[0].input == "Say it."
    assert without_wording(task, {"1": "Label: x."}).instances[0].input == "Label: x.\nSay it."
