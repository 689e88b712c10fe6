"""Writes the collection's files: one JSON file per task and the two split lists."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from instruct_ablate.tasks.starter.make.build import build
from instruct_ablate.tasks.starter.make.recipe import Recipe


def write_collection(recipes: Sequence[Recipe], root: Path) -> None:
    """Write `tasks/*.json` and `splits/default/*.txt` under `root`; task files of no recipe are removed."""
    tasks, splits = root / "tasks", root / "splits" / "default"
    tasks.mkdir(parents=True, exist_ok=True)
    splits.mkdir(parents=True, exist_ok=True)
    names = {recipe.name for recipe in recipes}
    for stale in tasks.glob("*.json"):
        if stale.stem not in names:
            stale.unlink()
    for recipe in recipes:
        text = json.dumps(build(recipe), indent=1, ensure_ascii=False)
        (tasks / f"{recipe.name}.json").write_text(text + "\n", encoding="utf-8")
    for split in ("train", "test"):
        listed = sorted(recipe.name for recipe in recipes if recipe.text.split == split)
        (splits / f"{split}_tasks.txt").write_text("\n".join(listed) + "\n", encoding="utf-8")
