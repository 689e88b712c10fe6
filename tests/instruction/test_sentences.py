"""The sentence is replaced, the labels stay."""

from __future__ import annotations

import pytest

from instruct_ablate.instruction.catalogue import find
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.sentences import SENTENCES
from tests.conftest import make_task


@pytest.mark.parametrize("name", SENTENCES)
def test_a_sentence_of_its_kind_and_then_the_task_s_labels(name: str) -> None:
    made = find("definition", name).function(make_task(), Context(0))
    sentence, _, labels = made.definition.partition(" Label: ")
    assert sentence in SENTENCES[name]
    assert labels == "positive. Label: negative."
    assert made.instances == make_task().instances


@pytest.mark.parametrize("name", SENTENCES)
def test_generation_has_the_sentence_alone(name: str) -> None:
    task = make_task(label_space=None)
    drawn = {find("definition", name).function(task, Context(seed)).definition for seed in range(40)}
    assert drawn == set(SENTENCES[name]), "the seed draws it"


def test_no_sentence_is_of_two_kinds_or_a_label_s() -> None:
    every = [sentence for sentences in SENTENCES.values() for sentence in sentences]
    assert len(set(every)) == len(every)
    assert all(sentence.endswith(".") for sentence in every)
