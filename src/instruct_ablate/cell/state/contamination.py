"""Contamination: models that have probably seen the tasks they are tested on, for whoever tells people of scores."""

from __future__ import annotations

from collections.abc import Iterable

from instruct_ablate.cell.state.setting import Setting
from instruct_ablate.presets import READERS, seen_by

SEEN = "seen"  # the column's heading
DOUBTFUL = ("yes", "?")


def seen(setting: Setting) -> str:
    """Return "yes", "no", "?" where that is not published, or "-" where nothing is known of a model or its tests."""
    return seen_by(setting.model, setting.text("tasks.reader")) or "-"


def seen_line(settings: Iterable[Setting]) -> str | None:
    """Name the models that have probably seen the collection they are tested on, and those that may have."""
    said: dict[tuple[str, str], dict[str, None]] = {}
    for setting in settings:
        if (known := seen(setting)) in DOUBTFUL:
            collection = READERS[setting.text("tasks.reader")]
            said.setdefault((known, collection), {})[setting.model] = None
    words = {"yes": "has probably seen", "?": "may have seen"}
    parts = [
        f"{', '.join(models)} {words[known]} {collection}"
        for (known, collection), models in sorted(said.items(), reverse=True)
    ]
    return f"contamination: {'; '.join(parts)} (docs/models.md)" if parts else None
