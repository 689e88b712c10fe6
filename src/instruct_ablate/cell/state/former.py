"""Cells of earlier versions whose identity was made of other things: what they hold is found, and never trained anew.

Such a cell keeps its hash, its folder and its W&B run. It is the cell of an identity where what was hashed then is
what is hashed now but for the metrics, which counted once, and the order of the training tasks, which did not. A cell
that was trained in an order nobody noted is taken for the one that is asked for first, and for no other beside it.
Nor is anything done again because a list that needs no order (`UNORDERED`) is written in another one now.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from instruct_ablate.cell.state.identity import Identity, digest, regardless_of_order, without_metrics
from instruct_ablate.cell.state.setting.keys import ORDER
from instruct_ablate.cell.state.setting.unordered import has_lists, in_order
from instruct_ablate.cell.state.store import (
    DECLARATION,
    Records,
    declared_cells,
    find_folder,
    read_record,
)
from instruct_ablate.cell.state.stored_config import IDENTITY
from instruct_ablate.disk.json_objects import load_json
from instruct_ablate.disk.whole_files import NOT_AS_WRITTEN, read_plain
from instruct_ablate.errors import UserError
from instruct_ablate.metrics.registry import KEY
from instruct_ablate.tasks.sampling.order import USUAL_ORDER

log = logging.getLogger(__name__)
UNKNOWN_ORDER = (
    "nobody noted in which order it read its training tasks: it is taken for that which they have now"
)


def as_stored(
    study: Path,
    identity: Identity,
    records: Records | None = None,
    listed: Mapping[str, Sequence[str]] | None = None,
) -> Identity:
    """Return the identity under which a study holds the cell: a former one, where that cell is there and ours is not.

    A finished cell goes before one that is not. `records` and `listed` are what whoever asks for many cells has read.
    """
    own = find_folder(study, identity, listed)
    if (records or Records()).state(own, identity.hash) == "done":
        _check_order(study, identity)
        return identity
    counted = _former_cells(study)
    unknown = _without_order(study, identity, counted)
    alike = _not_taken(study, identity, counted, counted.of.get(regardless_of_order(identity.counted), []))
    former = [path for path in (*alike, *unknown) if path != own]
    done = [folder for folder in former if _is_done(folder)]
    found = done or ([] if own.exists() else former)
    if not found:
        return identity
    if found[0] in unknown:
        _tell(found[0])
    told, order = counted.told[found[0]], "" if found[0] in counted.lacking else identity.order
    return replace(identity, hash=digest(told), name=found[0].name, counted=dict(told), order=order)


def forms(identity: Identity, metrics: Sequence[str]) -> tuple[Identity, ...]:
    """Return the identities under which another study may hold the cell, today's first.

    Earlier versions counted the metrics, of which none but those asked for now are looked for, and no order.
    """
    bare = _but_order(identity.counted)
    every = [identity.counted, bare, *({**one, KEY: [*metrics]} for one in (identity.counted, bare))]
    found = {digest(counted): counted for counted in every}
    return tuple(
        identity if own == identity.hash else replace(identity, hash=own, counted=counted, order="")
        for own, counted in found.items()
    )


def in_another_order(
    study: Path, identity: Identity, metrics: Sequence[str]
) -> Iterator[tuple[Identity, Path]]:
    """Yield the cells of another study whose lists that need no order stand there in another one than ours, else equal.

    Each with its own identity there. Metrics that earlier versions counted are none, or those asked for now.
    """
    if not has_lists(identity.counted):
        return
    counted = _former_cells(study, sum(1 for _ in study.glob(f"*/{IDENTITY}")))  # those of now are among them
    forms_of_now = (identity.counted, _but_order(identity.counted))  # of the usual order one and the same
    for ours in dict.fromkeys(map(regardless_of_order, forms_of_now)):
        for folder in counted.of.get(ours, []):
            told = counted.told[folder]
            if list(told[KEY]) in ([], [*metrics]):
                order = "" if folder in counted.lacking else identity.order
                yield replace(identity, hash=digest(told), counted=dict(told), order=order), folder


def check_order_of(folder: Path, identity: Identity, study: Path) -> bool:
    """Whether it is known in which order a finished cell of another study read its training tasks.

    `UserError` where that is another order than ours, or nobody noted it and its study or ours has taken the cell for
    another.
    """
    told = hashed_of(folder / IDENTITY)
    if told is None:
        raise UserError(f"its {IDENTITY} cannot be read")
    if not _lacks_order(told):
        if told.get(ORDER, told["counted"].get(ORDER, "")) != identity.order:
            raise UserError("it read its training tasks in another order")
        return True
    if _taken_for(folder.parent, str(told["identity"])) not in (None, identity.order):
        raise UserError(
            "nobody noted in which order it read its training tasks, and that study has taken it for another"
        )
    if other := _taken_already(study, identity):
        raise UserError(
            f"nobody noted in which order it read its training tasks, and this study has taken it for another: {other}"
        )
    return False


def _taken_already(study: Path, identity: Identity) -> str:
    """Name the cell of a study that was taken over on trust, as ours would be, for another order; empty for none."""
    for path in sorted(study.glob(f"*/{IDENTITY}")):
        told = hashed_of(path)
        if told is None or told["identity"] == identity.hash:
            continue
        if digest(_but_order(without_metrics(told["counted"]))) == without_order(identity):
            record = read_record(path.parent)
            if record is not None and record.state == "done" and UNKNOWN_ORDER in record.notes:
                return path.parent.name
    return ""


def is_of_unknown_order(folder: Path) -> bool:
    """Whether a cell was trained by a version that did not note in which order it read its tasks."""
    told = hashed_of(folder / IDENTITY)
    return told is not None and _lacks_order(told)


def without_order(identity: Identity) -> str:
    """Return the hash that the cell had before the order of its training tasks counted."""
    return digest(_but_order(identity.counted))


def _but_order(counted: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in counted.items() if key != ORDER}


def _without_order(study: Path, identity: Identity, counted: _Former) -> list[Path]:
    """Return the folders of the cell from before the order of its tasks counted, unless they are taken for another."""
    if ORDER not in identity.counted:
        return []
    found = counted.of.get(regardless_of_order(_but_order(identity.counted)), [])
    return _not_taken(study, identity, counted, [path for path in found if path in counted.lacking])


def _not_taken(study: Path, identity: Identity, counted: _Former, found: Sequence[Path]) -> list[Path]:
    """Leave out cells of unknown order that the study has taken for another order than ours."""
    ours = (None, identity.order)
    return [
        path
        for path in found
        if path not in counted.lacking or _taken_for(study, digest(counted.told[path])) in ours
    ]


@lru_cache(maxsize=1024)
def _tell(folder: Path) -> None:
    """Say once that a cell's order is taken on trust."""
    log.warning(
        "%s was trained by an earlier version, which did not note in which order it read the training tasks: it is "
        "taken for a cell of the order that they have now. If that was another, train in another study=NAME.",
        folder.name,
    )


def _check_order(study: Path, identity: Identity) -> None:
    """Refuse a finished cell of unknown order in a study that has taken it for the cell of another order than ours."""
    taken = _taken_for(study, identity.hash) if identity.order == USUAL_ORDER else None
    if taken is not None:
        raise UserError(
            f"{study / identity.name} was trained by an earlier version, which did not note in which order it read the "
            f"training tasks, and this study has taken it for another order ({taken}) than that of the tasks now: put "
            "the list back as it was, or train in another study=NAME."
        )


def _taken_for(study: Path, identity: str) -> str | None:
    """Return the order that is not the usual one and that a study has declared a cell with; None where it has not."""
    try:
        # By the time of its last change, too: a sweep that declares more cells writes the file anew.
        return _declared(study, (study / DECLARATION).stat().st_mtime_ns).get(identity)
    except OSError:
        return None


@lru_cache(maxsize=8)
def _declared(study: Path, _changed: int) -> Mapping[str, str]:
    """Return the order of each cell that was declared with one, by its hash."""
    try:
        settings = {str(cell["identity"]): cell["setting"] for cell in declared_cells(study)}
        values = {identity: dict(map(tuple, setting["values"])) for identity, setting in settings.items()}
        return {identity: str(own[ORDER]) for identity, own in values.items() if ORDER in own}
    except (OSError, *NOT_AS_WRITTEN):
        return {}


def _is_done(folder: Path) -> bool:
    record = read_record(folder)
    return record is not None and record.state == "done"


@dataclass(frozen=True)
class _Former:
    """What was hashed of a study's cells of earlier versions, and their folders by what is hashed of it now.

    `lacking`: those of which nobody noted in which order they read their training tasks.
    """

    told: Mapping[Path, Mapping[str, Any]]
    of: Mapping[str, list[Path]]
    lacking: frozenset[Path] = frozenset()


def _former_cells(study: Path, there: int = 0) -> _Former:
    """Read a study's former cells; anew once folders were added, or more are described (`there`, where counted)."""
    try:
        return _read(study, study.stat().st_mtime_ns, there)
    except OSError:
        return _Former({}, {})


@lru_cache(maxsize=1024)  # studies: with fewer places than there are, each cell would read all of them anew
def _read(study: Path, _changed: int, _there: int) -> _Former:
    """Read them once for as long as no folder is added: no cell is hashed so any more."""
    every = {path.parent: hashed_of(path) for path in sorted(study.glob(f"*/{IDENTITY}"))}
    former = {folder: told for folder, told in every.items() if told is not None and _is_former(told)}
    found: dict[Path, Mapping[str, Any]] = {folder: told["counted"] for folder, told in former.items()}
    of: dict[str, list[Path]] = {}
    for folder, counted in found.items():
        of.setdefault(regardless_of_order(counted), []).append(folder)
    lacking = frozenset(folder for folder, told in former.items() if ORDER not in told)
    return _Former(found, of, lacking)


def _lacks_order(told: Mapping[str, Any]) -> bool:
    counted = told["counted"]
    return ORDER not in told and ORDER not in counted and counted["instruction"] is not None


def _is_former(told: Mapping[str, Any]) -> bool:
    """Whether a hash is of what stands there, and counted metrics, noted no order, or has lists of any order."""
    counted: Mapping[str, Any] = told["counted"]
    if not (counted[KEY] or _lacks_order(told) or has_lists(counted)):
        return False
    return bool(told["identity"] == digest(counted))


def hashed_of(path: Path) -> Mapping[str, Any] | None:
    """Read what was hashed of a cell; None where that cannot be read."""
    try:
        told: Mapping[str, Any] = load_json(read_plain(path))
        counted: Mapping[str, Any] = told["counted"]
        _ = told["identity"], counted["instruction"], counted[KEY], in_order(counted)
    except (OSError, *NOT_AS_WRITTEN):
        return None
    return told
