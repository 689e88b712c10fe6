"""The readable name of a cell's folder, with a short hash of its identity."""

from __future__ import annotations

import re
from collections.abc import Sequence

from instruct_ablate.cell.state.setting.setting import Setting


def folder_name(setting: Setting, seed: int, identity: str, marks: Sequence[str] = ()) -> str:
    """Return the readable name with a short hash: `smollm2_135m-simplified-8-s0-1a2b3c4d`.

    `marks` are what it tells besides: what differs from the defaults of the groups' choices.
    """
    shown = setting.get("tasks")
    # A reader of one's own is named too: of two such readers nothing else of a name tells which it was.
    own_name = shown not in (None, setting.get("tasks.reader")) or "." in str(shown)
    tasks = [str(shown)] if own_name else []
    if setting.baseline:
        parts = [setting.model, *tasks]
    elif setting.untuned:
        parts = [setting.model, *tasks, "as_it_is" if setting.tuned else "untuned"]
    else:
        method = [] if setting.get("method") == "full" else [setting.text("method")]
        total = setting.get("data_budget.total")
        budget = setting.text("data_budget") if total is None else f"total_{total}"
        parts = [setting.model, *tasks, *method, setting.instruction, budget, f"s{seed}"]
    return f"{file_name('-'.join((*parts, *marks)))}-{identity[:8]}"


def file_name(text: str) -> str:
    """Make a readable name one that every file system takes; what is told apart by it stands behind it.

    Letters of any script stay. A name has at most 255 bytes with what is put behind it, and a letter up to four.
    """
    return re.sub(r"[^\w.+()-]+", "_", text)[:100].encode()[:180].decode(errors="ignore")
