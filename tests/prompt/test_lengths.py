"""What limits on lengths took: each sentence that is noted is read again by the same file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from instruct_ablate.prompt.lengths import (
    cut_targets_note,
    ended_note,
    kinds,
    long_references_note,
    told_lengths,
    truncation_note,
)
from instruct_ablate.prompt.prompt import Prompt

PROMPT = Prompt("task", "Logic", "generation", "1", "source", ("yes",), "yes")


def test_truncations_are_counted() -> None:
    fits, cut, fewer = PROMPT, replace(PROMPT, truncated=True), replace(PROMPT, dropped_examples=1)
    assert truncation_note([fits]) is None
    assert str(truncation_note([fits, cut])).startswith(
        "2 prompts: 1 cut at prompt.max_source_length, 0 with fewer "
    )
    assert str(truncation_note([fits, fewer])).startswith(
        "2 prompts: 0 cut at prompt.max_source_length, 1 with fewer "
    )


def test_what_is_noted_is_read_again() -> None:
    cut, fewer = replace(PROMPT, truncated=True), replace(PROMPT, dropped_examples=1)
    sentences = (
        str(truncation_note([cut, fewer, fewer, PROMPT])),
        ended_note(7, 8),
        long_references_note(1, 1000, 128),
        cut_targets_note(3, 24, 128),
    )
    told = told_lengths([f"training: {one}" for one in sentences], "training")
    assert [name for name, _ in told] == list(kinds())
    assert [share for _, share in told] == pytest.approx([25.0, 50.0, 87.5, 0.1, 12.5])


def test_notes_of_other_tests_and_of_other_things_are_left_aside() -> None:
    notes = (
        f"test, original, plain: {ended_note(1, 4)}",
        f"test, original: {ended_note(2, 4)}",
        f"test, delusive: {ended_note(3, 4)}",
        ended_note(4, 4),
        "test, original: 0 of 0 answers were ended at their greatest length",
        "test, original: 5 of 8 predictions are empty (62%)",
    )
    assert dict(told_lengths(notes, "test, original")) == {"answers ended at their greatest length": 50.0}
    assert dict(told_lengths(notes, "test, original, plain")).popitem()[1] == 25.0
    assert told_lengths(notes, "training") == ()
