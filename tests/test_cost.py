"""The cost of a cell: nothing was spent until something is measured."""

from __future__ import annotations

from dataclasses import astuple

from instruct_ablate.cost import Cost
from tests.left_out import left_out


def test_nothing_is_spent_at_first() -> None:
    assert not any(astuple(Cost()))


def test_what_is_left_out() -> None:
    assert left_out(Cost) == {
        "train_seconds": 0.0,
        "train_steps": 0,
        "train_examples": 0,
        "train_tokens": 0,
        "evaluate_seconds": 0.0,
        "evaluate_instances": 0,
        "prepare_seconds": 0.0,
        "peak_memory": 0,
        "padding_share": 0.0,
        "point_seconds": 0.0,
        "gpu_memory": 0,
    }
