"""Cells of earlier versions whose identity counted their metrics: what they hold is found, and never trained anew.

Such a cell keeps its hash, its folder and its W&B run. It is the cell of an identity where what was hashed then is
what is hashed now but for the metrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from instruct_ablate.cell.state.identity import Identity, digest, without_metrics
from instruct_ablate.cell.state.store import Records, find_folder, read_record
from instruct_ablate.cell.state.stored_config import IDENTITY
from instruct_ablate.json_objects import load_json
from instruct_ablate.metrics.registry import KEY
from instruct_ablate.whole_files import NOT_AS_WRITTEN, read_plain


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
        return identity
    counted = _counted_metrics(study)
    former = counted.of.get(identity.hash, [])
    done = [folder for folder in former if _is_done(folder)]
    found = done or ([] if own.exists() else former)
    if not found:
        return identity
    told = counted.told[found[0]]
    return replace(identity, hash=digest(told), name=found[0].name, counted=dict(told))


def _is_done(folder: Path) -> bool:
    record = read_record(folder)
    return record is not None and record.state == "done"


@dataclass(frozen=True)
class _Former:
    """What was hashed of the cells whose metrics were, and those cells by the hash that they have now."""

    told: Mapping[Path, Mapping[str, Any]]
    of: Mapping[str, list[Path]]


def _counted_metrics(study: Path) -> _Former:
    try:
        return _read(study, study.stat().st_mtime_ns)
    except OSError:
        return _Former({}, {})


@lru_cache(maxsize=8)
def _read(study: Path, _changed: int) -> _Former:
    """Read them once for as long as no folder is added: no cell is hashed so any more."""
    found = {path.parent: told for path in sorted(study.glob(f"*/{IDENTITY}")) if (told := _told(path))}
    of: dict[str, list[Path]] = {}
    for folder, told in found.items():
        of.setdefault(digest(without_metrics(told)), []).append(folder)
    return _Former(found, of)


def _told(path: Path) -> Mapping[str, Any] | None:
    try:
        told = load_json(read_plain(path))
        counted: Mapping[str, Any] = told["counted"]
        if counted[KEY] and told["identity"] == digest(counted):
            return counted
    except (OSError, *NOT_AS_WRITTEN):
        pass
    return None
