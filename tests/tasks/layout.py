"""Small collections in the Super-NaturalInstructions layout, written for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def task_json(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "Definition": ["Answer 'yes' or 'no'."],
        "Categories": ["Question Answering"],
        "Input_language": ["English"],
        "Output_language": ["English"],
        "Instruction_language": ["English"],
        "Positive Examples": [{"input": "Is ice cold?", "output": "yes", "explanation": "It is."}],
        "Negative Examples": [{"input": "Is fire cold?", "output": "yes", "explanation": "It is hot."}],
        "Instances": [
            {"id": f"i{n}", "input": f"Question {n}?", "output": [("yes", "no")[n % 2]]} for n in range(8)
        ],
    }
    return {key: value for key, value in {**fields, **changes}.items() if value is not ...}


def write_task(path: Path, **changes: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(task_json(**changes)), encoding="utf-8")
    return path


def write_collection(root: Path, train: dict[str, dict[str, Any]], test: dict[str, dict[str, Any]]) -> Path:
    splits = root / "splits" / "default"
    splits.mkdir(parents=True, exist_ok=True)
    for side, tasks in (("train", train), ("test", test)):
        (splits / f"{side}_tasks.txt").write_text("".join(f"{name}\n" for name in tasks), encoding="utf-8")
        for name, changes in tasks.items():
            write_task(root / "tasks" / f"{name}.json", **changes)
    return root
