"""What makes imported predictions a cell of their own, and what they were scored on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from instruct_ablate.cell.state.record.predictions import PredictionRow, read_predictions
from instruct_ablate.cell.state.setting.setting import Axes
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.disk.whole_files import NOT_AS_WRITTEN, inside
from instruct_ablate.errors import UserError
from instruct_ablate.tasks.task import TaskCollection

Key = tuple[str, str]


def tested_content(rows: Sequence[PredictionRow], collection: TaskCollection) -> str:
    """Return the content of what was scored: the collection's hash where that is all of it, under its references.

    Of some instances, or under references of the file's own, it is another one: a mean over these is neither compared
    with one over others nor averaged with it, though the tasks' names are the same.
    """
    whole = _references(collection)
    scored = {row.key: row.references for row in rows}
    if scored == whole:
        return collection.content_hash
    told = json.dumps([collection.content_hash, sorted(scored.items())])
    return hashlib.sha256(told.encode()).hexdigest()


def _references(collection: TaskCollection) -> dict[Key, tuple[str, ...]]:
    return {(task.name, one.id): one.references for task in collection.test for one in task.instances}


def _holds(folder: Path, identity: str, rows: Sequence[PredictionRow]) -> bool:
    """Whether an earlier version has imported the same file, under a hash that its references did not count in.

    That cell is written again: another one beside it would be the same predictions twice.
    """
    record = read_record(folder, identity)
    if record is None or not record.blocks:
        return False
    try:
        there = read_predictions(inside(folder, record.blocks[0].predictions))
    except (OSError, UserError, *NOT_AS_WRITTEN):
        return False
    return [(row.key, row.references) for row in there] == [(row.key, row.references) for row in rows]


def imported_identity(
    rows: Sequence[PredictionRow], axes: Axes, collection: TaskCollection, place: Path
) -> str:
    """Return the identity of an imported cell: the one that it has, where an earlier version wrote it in its study.

    `place`: its folder but for the hash behind the name.
    """
    now, former = (_identity(rows, axes, collection, counted) for counted in (True, False))
    earlier = former != now and _holds(place.with_name(f"{place.name}-{former[:8]}"), former, rows)
    return former if earlier else now


def _identity(
    rows: Sequence[PredictionRow], axes: Axes, collection: TaskCollection, own_references: bool
) -> str:
    """Hash what makes an imported cell itself: its place in the grid (as text, for ever), tasks, every prediction.

    References that are not the collection's make other scores of the same predictions, and so another cell; earlier
    versions did not count them (`own_references`).
    """
    digest = hashlib.sha256(f"{axes}\n{collection.content_hash}\n".encode())
    for row in rows:
        digest.update(repr((row.key, row.prediction)).encode())
    usual = _references(collection)
    if own_references and (
        own := [(row.key, row.references) for row in rows if row.references != usual.get(row.key)]
    ):
        digest.update(repr(own).encode())
    return digest.hexdigest()
