"""The cost of a cell: nothing was spent until something is measured."""

from __future__ import annotations

from dataclasses import astuple

from instruct_ablate.cost import Cost


def test_nothing_is_spent_at_first() -> None:
    assert not any(astuple(Cost()))
