"""Records and declarations of version 1: axes instead of a setting; read, never written.

What the axes lack is taken from identity.json beside the record, and the names from there being one: as data only.
What was written before data sets had names takes them from the study's other cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from instruct_ablate.cell.state.setting.setting import (
    Axes,
    Names,
    Setting,
    Value,
    setting_from,
    setting_of_axes,
)
from instruct_ablate.disk.json_objects import load_json
from instruct_ablate.disk.whole_files import NOT_AS_WRITTEN, read_plain

Raw = dict[str, Any]  # JSON as it was read


def modern_record(raw: Raw, folder: Path | None) -> Raw:
    """Return a record of version 1 as one of version 2, still as JSON."""
    labels = [str(block["instruction"]) for block in raw["blocks"]] if raw.get("blocks") else []
    setting = old_setting(raw["axes"], raw.get("data_hash", ""), _counted(folder, raw["identity"]), labels)
    rest = {key: value for key, value in raw.items() if key not in ("axes", "format")}
    return {**rest, **_place(raw, setting), "version": 1}


def modern_declaration(raw: Raw, folder: Path | None) -> Raw:
    """Return a declaration of version 1 as one of version 2, still as JSON."""
    cells = [_modern_cell(cell, folder) if "axes" in cell else cell for cell in raw.get("cells", [])]
    return {**raw, "cells": cells}


def _modern_cell(raw: Raw, folder: Path | None) -> Raw:
    own = folder / str(raw["name"]) if folder else None
    setting = old_setting(raw["axes"], raw.get("data_hash", ""), _counted(own, raw["identity"]), [])
    return {**{key: value for key, value in raw.items() if key != "axes"}, **_place(raw, setting)}


def _place(raw: Raw, setting: Setting) -> Raw:
    values = [[key, list(value) if isinstance(value, tuple) else value] for key, value in setting.values]
    told = {"values": values, "revisions": [list(pair) for pair in setting.revisions], "tuned": False}
    return {"setting": told, "seed": raw["axes"]["seed"]}


def old_setting(
    axes: Mapping[str, Any], data_hash: str, counted: Mapping[str, Any] | None, labels: Sequence[str]
) -> Setting:
    """Make the setting of a cell of version 1: from what was hashed where that is left, else from its axes."""
    place = Axes(**axes)
    if counted is None:
        return setting_of_axes(place, data_hash)
    names = Names(place.tasks, place.model, place.instruction, place.num_positive, tuple(labels))
    return setting_from(counted, names)


def _counted(folder: Path | None, identity: str) -> Raw | None:
    """Read what was hashed, where it lies beside the record and is this cell's."""
    if folder is None:
        return None
    try:
        told = load_json(read_plain(folder / "identity.json"))
        return dict(told["counted"]) if told["identity"] == identity else None
    except (OSError, *NOT_AS_WRITTEN):
        return None


def data_names(settings: Iterable[Setting]) -> dict[tuple[str, Value], str]:
    """Return the one name of each content that some cells have under its reader's name, by revision and that name."""
    readers: dict[str, set[Value]] = {}
    names: dict[str, set[Value]] = {}
    for setting in settings:
        readers.setdefault(setting.revision("tasks"), set()).add(setting.get("tasks.reader"))
        names.setdefault(setting.revision("tasks"), set()).add(setting.get("tasks"))
    own = {content: names[content] - readers[content] for content in names if content}
    return {
        (content, reader): str(*own[content])
        for content in own
        if len(own[content]) == 1
        for reader in readers[content] - {None}
    }


def with_data_name(setting: Setting, names: Mapping[tuple[str, Value], str]) -> Setting:
    """Return the setting under its data set's name, where it has the reader's alone."""
    name = names.get((setting.revision("tasks"), setting.get("tasks")))
    return setting if name is None else setting.changed(tasks=name)
