"""What fields are where they are left out: files of earlier versions lack them, and callers rely on them."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any


def left_out(kind: type) -> dict[str, Any]:
    """Return the plain values that fields of a dataclass have where nothing is given, but for no text and None."""
    values = {one.name: one.default for one in fields(kind) if one.default is not MISSING}  # type: ignore[arg-type]
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, bool | int | float | str) and value != ""
    }
