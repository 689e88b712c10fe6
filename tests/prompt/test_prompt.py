"""The prompt: what one is that nothing was cut from."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from instruct_ablate.prompt.prompt import Prediction, Prompt
from tests.left_out import left_out

PROMPT = Prompt("t", "Logic", "generation", "i0", "source", ("a", "b"), "a")


def test_unless_said_nothing_was_cut_or_dropped_and_anything_may_be_answered():
    assert PROMPT.truncated is False
    assert PROMPT.dropped_examples == 0
    assert PROMPT.choices is None


def test_prompts_and_predictions_are_not_changed_and_compare_by_content():
    with pytest.raises(FrozenInstanceError):
        PROMPT.source = "another"  # type: ignore[misc]
    assert Prediction(PROMPT, "a") == Prediction(PROMPT, "a") != Prediction(PROMPT, "b")


def test_what_is_left_out():
    assert left_out(Prompt) == {"truncated": False, "dropped_examples": 0}
