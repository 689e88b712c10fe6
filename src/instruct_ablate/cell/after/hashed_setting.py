"""Whether a record stands where its cell belongs: its setting, seed and data against what its identity was made from.

Tables go by settings. One that was written over in a record, beside predictions that nobody touched, puts right scores
under a wrong name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from instruct_ablate.cell.state.former import hashed_of
from instruct_ablate.cell.state.identity import digest
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.keys import GENERAL, GROUPS
from instruct_ablate.cell.state.setting.setting import Setting, plain_value, write
from instruct_ablate.cell.state.setting.unordered import in_order
from instruct_ablate.cell.state.stored_config import IDENTITY
from instruct_ablate.disk.whole_files import NOT_AS_WRITTEN
from instruct_ablate.errors import UserError
from instruct_ablate.instruction.label import counted as as_counted
from instruct_ablate.instruction.label import label, parse
from instruct_ablate.schema import InstructionConfig

# Names of what is hashed by content, or what does not count.
_NAMED = ("tasks", "model", "evaluation.instructions", "evaluation.metrics", GENERAL)
_NUMBERS = ("num_positive", "num_negative", "explanations")


def setting_fault(folder: Path, record: CellRecord) -> str | None:
    """Say where a record is not that of what was hashed for it; empty where it is.

    None of predictions made elsewhere, of which no configuration was hashed; every cell that was run here has the file.
    """
    if record.setting.imported:
        return None
    path = folder / IDENTITY
    if not path.exists():
        return f"it has no {IDENTITY}, which every cell that is run here writes: what was hashed is not known"
    told = hashed_of(path)
    if told is None:
        return f"its {IDENTITY} cannot be read"
    counted = told["counted"]
    if not told["identity"] == record.identity == digest(counted):
        return f"its identity is not the hash of what {IDENTITY} says that it was made from"
    try:
        return next(_faults(record, counted), "")
    except NOT_AS_WRITTEN:
        return f"its {IDENTITY} cannot be read"


def _faults(record: CellRecord, counted: Mapping[str, Any]) -> Iterator[str]:
    yield from (
        f"{name} is {write(ours)} in its record, and {write(hashed)} in {IDENTITY}"
        for name, ours, hashed in _pairs(record, counted)
        if ours != hashed
    )


def _pairs(record: CellRecord, counted: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield what a record says and what was hashed, of all that both have."""
    setting = record.setting
    for key, value in in_order(counted).items():
        name = GROUPS.get(key, key)
        if "." in key and name in setting and name not in _NAMED:
            yield name, setting.get(name), plain_value(value)
    if "seed" in counted:
        yield "seed", record.seed, counted["seed"]
    yield "the tasks' hash", record.data_hash, str(counted["data"])
    if counted["instruction"] is not None:
        yield from _instructions("instruction", setting, (setting.instruction,), [counted["instruction"]])
    if setting.get("evaluation.instructions"):  # some early records do not say
        yield from _instructions("tested on", setting, setting.tests, counted["tested"])


def _instructions(
    name: str, setting: Setting, labels: Sequence[str], hashed: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, Any, Any]]:
    """Yield what labels stand for beside what was hashed, both as it counts; nothing of variants not loaded here."""
    numbers: dict[str, Any] = {key: setting.get(f"instruction.{key}") for key in _NUMBERS}
    try:
        shown = [InstructionConfig(**one) for one in hashed]
        base = replace(shown[0], **numbers)
        own = {json.dumps(as_counted(parse(one, base)), sort_keys=True) for one in labels}
    except (UserError, TypeError):
        return
    theirs = {json.dumps(one, sort_keys=True) for one in hashed}
    if own != theirs:
        here = f"{', '.join(labels)} with {base.num_positive} positive examples"
        there = ", ".join(sorted({f"{label(one)} with {one.num_positive}" for one in shown}))
        yield name, here, there
