"""`method.layers`: whether all layers are adapted, or the decoder's last N (`top:N`) and nothing below them.

Nothing heavy is imported here: a configuration is checked without torch. What lies in a model is in `model/adapters`.
"""

from __future__ import annotations

import re
from typing import Any

from instruct_ablate.limits import Limit, shown

ALL = "all"
_TOP = re.compile(r"top:([1-9][0-9]{0,4})")


def top_count(layers: str) -> int | None:
    """Return N of `top:N`; None of `all`. Raises `ValueError` for anything else."""
    if layers == ALL:
        return None
    match = _TOP.fullmatch(layers)
    if match is None:
        raise ValueError(layers)
    return int(match[1])


def layers_limit() -> Limit:
    """Allow what `top_count` reads; whether a model has as many layers is seen where its configuration is read."""

    def fault(key: str, value: Any) -> str | None:
        try:
            top_count(value)
        except (ValueError, TypeError):
            return f"{key}={shown(value)} must be all, or top:N for the decoder's last N layers, as top:8"
        return None

    return Limit(fault)
