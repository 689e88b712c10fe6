"""The neutral values that hashes hold for settings a cell does not use: today the schema's defaults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.goldens import cases, expected

GOLDEN: dict[str, Any] = json.loads((cases.HERE / "defaults.json").read_text(encoding="utf-8"))
CELLS = {row["name"]: row for row in json.loads((cases.HERE / "identities.json").read_text("utf-8"))["cells"]}


def test_settings_that_are_not_used_are_hashed_at_these_values(tmp_path: Path) -> None:
    assert json.loads(json.dumps(expected.neutral_values(tmp_path))) == GOLDEN


@pytest.mark.parametrize(("kind", "cell"), [("untuned", "untuned"), ("baseline", "majority")])
def test_the_frozen_identities_hold_the_same_values(kind: str, cell: str) -> None:
    assert {key: CELLS[cell]["counted"][key] for key in GOLDEN[kind]} == GOLDEN[kind]
