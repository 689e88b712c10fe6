"""Contamination: models that have probably seen the tasks they are tested on, for whoever tells people of scores."""

from __future__ import annotations

import re
from collections.abc import Iterable

from instruct_ablate.cell.state.setting.setting import Setting, Value
from instruct_ablate.cell.state.setting.unordered import PARTS
from instruct_ablate.configuration.presets import READERS, seen_by

SEEN = "seen"  # the column's heading
DOUBTFUL = ("yes", "?")
_PART = re.compile(r"(.+?): \{'tasks\.reader': '([\w.]+)'")  # of `tasks.parts` as a setting has it


def seen(setting: Setting) -> str:
    """Return "yes", "no", "?" where that is not published, or "-" where nothing is known of a model or its tests.

    Of the parts of a mixture that are tested the worst is told.
    """
    known = {seen_by(setting.model, reader) for reader in readers_tested(setting)}
    return next((answer for answer in (*DOUBTFUL, "no") if answer in known), "-")


def readers_tested(setting: Setting) -> tuple[str, ...]:
    """Name the readers of what is tested: those of a mixture's parts; of imported predictions by the tasks' name."""
    parts, chosen = parts_of(setting), setting.get("tasks.test_parts")
    if not parts:
        return (str(setting.get("tasks.reader") or setting.get("tasks")),)
    return tuple(
        reader for name, reader in parts if not chosen or (isinstance(chosen, tuple) and name in chosen)
    )


def collections_of(setting: Setting) -> tuple[tuple[str, Value], ...]:
    """Name the collections that a cell's data are of, each with its reader: of a mixture those of its parts."""
    parts = parts_of(setting)
    if not parts:
        return ((setting.text("tasks"), setting.get("tasks.reader")),)
    return tuple((reader, reader) for _, reader in parts)


def parts_of(setting: Setting) -> tuple[tuple[str, str], ...]:
    """Return the parts of a mixture with their readers; none of tasks that are no mixture."""
    parts = setting.get(PARTS)
    found = (_PART.match(part) for part in parts) if isinstance(parts, tuple) else ()
    return tuple((part[1], part[2]) for part in found if part)


def seen_line(settings: Iterable[Setting]) -> str | None:
    """Name the models that have probably seen the collection they are tested on, and those that may have."""
    said: dict[tuple[str, str], dict[str, None]] = {}
    for setting in settings:
        for reader in readers_tested(setting):
            if (known := seen_by(setting.model, reader)) in DOUBTFUL:
                said.setdefault((str(known), READERS[reader]), {})[setting.model] = None
    words = {"yes": "has probably seen", "?": "may have seen"}
    parts = [
        f"{', '.join(models)} {words[known]} {collection}"
        for (known, collection), models in sorted(said.items(), reverse=True)  # "yes" comes before "?"
    ]
    return f"contamination: {'; '.join(parts)} (docs/models.md)" if parts else None
