"""Predictions that are no longer those that a study's scores are of: what a report says of them beside its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from instruct_ablate.cell.state.record.instance_scores import SCORES_OF, change_told, checksum
from instruct_ablate.disk.whole_files import inside
from instruct_ablate.errors import UserError
from instruct_ablate.grid.study import Study
from instruct_ablate.plural import named, were

NAMED = 5  # files in a line


def changed_predictions(study: Study) -> tuple[str, ...]:
    """Return the files, below the study's folder, that were changed after they were scored; each is read once.

    A file that is gone or cannot be read is none of them.
    """
    found = []
    for cell in study.cells:
        for block in cell.every_block if cell.state == "done" else ():
            try:
                digest = checksum(inside(study.folder / cell.name, block.predictions))
            except (OSError, UserError):
                continue
            if change_told(block, digest):
                found.append(f"{cell.name}/{block.predictions}")
    return tuple(found)


def changed_line(files: Sequence[str]) -> str:
    """Say of files (`changed_predictions`) that no score is of what they hold; empty where there are none."""
    if not files:
        return ""
    return f"{named(files, NAMED)} {were(len(files))} changed after being scored: {SCORES_OF}"
