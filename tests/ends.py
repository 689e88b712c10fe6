"""The ends of what a key may be: values that just pass, and values that just do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from instruct_ablate.limits import Limit

Ends = Mapping[str, tuple[Sequence[Any], Sequence[Any]]]


def is_allowed(limit: Limit, value: Any) -> bool:
    """Whether a key with this limit takes the value; null where the limit says what it stands for."""
    return limit.null is not None if value is None else limit.fault("key", value) is None


def check_ends(limit: Limit, ends: tuple[Sequence[Any], Sequence[Any]]) -> None:
    """Demand that the first values pass and the others do not."""
    for value in ends[0]:
        assert is_allowed(limit, value), value
    for value in ends[1]:
        assert not is_allowed(limit, value), value
