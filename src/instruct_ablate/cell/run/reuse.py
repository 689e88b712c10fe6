"""A cell that another study has done already: its result is taken over instead of being computed again."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

from instruct_ablate import learning_curve
from instruct_ablate.cell.state.canonical import is_untuned
from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.cell.state.record import CellRecord
from instruct_ablate.cell.state.store import read_record, write_record
from instruct_ablate.schema import Config
from instruct_ablate.whole_files import explained, whole_file

log = logging.getLogger(__name__)
REUSE = ("none", "untuned", "all")


def take_over(config: Config, identity: Identity, folder: Path) -> CellRecord | None:
    """Copy the same cell's result from another study of this output folder; None where there is none to take.

    The identity is the same, so are data, weights, settings and version: what is copied is what would come out.
    `reuse` says which cells: `untuned` (baselines included), `all`, or `none`.
    """
    if config.reuse == "none" or (config.reuse == "untuned" and not is_untuned(config)):
        return None
    for source in sorted(Path(config.output).glob(f"*/*-{identity.hash[:8]}")):
        record = read_record(source, identity.hash) if source != folder else None
        if record is not None and record.state == "done" and _copied(source, folder, record):
            note = f"taken over from study {source.parent.name}, which had done the same cell"
            log.info("%s: %s", identity.name, note)
            taken = replace(record, notes=tuple(dict.fromkeys((*record.notes, note))))
            write_record(folder, taken)
            return taken
    return None


def _copied(source: Path, folder: Path, record: CellRecord) -> bool:
    """Copy all that a done cell keeps, its predictions whole or not at all; False where some are gone."""
    if not all((source / block.predictions).is_file() for block in record.blocks):
        return False
    for block in record.blocks:
        target = folder / block.predictions
        with whole_file(target, durable=False) as part:
            shutil.copyfile(source / block.predictions, part)
    for name in ("config.yaml", "identity.json", learning_curve.FILE):
        if (source / name).is_file():
            with explained(folder / name):
                shutil.copyfile(source / name, folder / name)
    return True
