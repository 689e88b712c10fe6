"""A user's folder in which the guide's commands run as printed: what their placeholders name is there.

The only changes: a tiny model with random weights, few instances and one seed, where a command does not need more.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from tests.docs.blocks import TOP, blocks
from tests.tasks.layout import task_json, write_collection

# Choices of the user's instead of many overrides: Hydra composes each override by itself.
SMALL_MODEL = """\
# @package _global_
defaults:
  - override /model: tiny_llama
  - override /data_budget: "1"
  - override /logger: none
data_budget: {tasks: 2}
trainer: {max_steps: 1, accelerator: cpu, progress: false}
keep_checkpoints: true
prompt: {max_target_length: 32}
"""
SMALL = """\
# @package _global_
defaults:
  - small_model
tasks: {test_tasks: 2, test_instances: 3}
"""
EXPERIMENT = """\
# @package _global_
defaults:
  - small
  - _self_
study: NAME
hydra:
  sweeper:
    params:
      instruction: original,simplified
      data_budget: 0,1
hypotheses:
  - simplified equals original on exact_match within 2 points
"""
OWN_DATA = ("hf_dataset", "films", "ifeval_format")  # few rows, of one task
SETUP = (
    ("train", "-m instruction=original,simplified data_budget=0,1 seed=0,1 study=STUDY"),
    ("shell", "cp -r multirun/STUDY multirun/OTHER; cp -r multirun/STUDY multirun/PILOT"),
)


def make(folder: Path) -> None:
    """Write what the commands name: own files of the pages, PATH, FOLDER, FILE, FILE.jsonl, NAME, my_reviews."""
    shutil.copy(TOP / "train.py", folder)
    for block in blocks():
        if block.file:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.text, encoding="utf-8")
    (folder / "conf/experiment").mkdir(parents=True, exist_ok=True)
    for name, text in {"small_model": SMALL_MODEL, "small": SMALL, "NAME": EXPERIMENT}.items():
        (folder / f"conf/experiment/{name}.yaml").write_text(text, encoding="utf-8")
    write_collection(
        folder / "PATH/TO/natural-instructions", {"task1_one": {}, "task3_three": {}}, {"task2_two": {}}
    )
    for name in ("splits", "tasks"):
        (folder / "PATH" / name).symlink_to(f"TO/natural-instructions/{name}")
    rows = [{"task": "task2_two", "id": row["id"], "prediction": "yes"} for row in task_json()["Instances"]]
    (folder / "FILE").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    prompts = [
        {
            "inputs_pretokenized": f"{n}?",
            "targets_pretokenized": ("Yes", "No")[n % 2],
            "answer_choices": ["Yes", "No"],
        }
        for n in range(4)
    ]
    (folder / "FOLDER").mkdir()
    for name in ("imdb_Sentiment", "super_glue_rte_must_be_true"):
        (folder / "FOLDER" / f"{name}.jsonl").write_text(
            "\n".join(map(json.dumps, prompts)), encoding="utf-8"
        )
    asked = {"key": 1, "prompt": "Name it.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    (folder / "FILE.jsonl").write_text(json.dumps(asked), encoding="utf-8")
    (folder / "my_reviews").mkdir()
    for name in ("train", "test"):
        (folder / f"my_reviews/{name}.csv").write_text(
            "text,label\nlovely,positive\nawful,negative\n", encoding="utf-8"
        )


def in_small(words: list[str]) -> list[str]:
    """Return the words of a cell or grid, with a tiny model, few instances and one seed where it asks for no more."""
    words = [_tiny(word) for word in words if word != "…"]
    given = dict(word.split("=", 1) for word in words if "=" in word)
    if "until" not in given and given.get("study") != "STUDY":
        words = [re.sub(r"^seed=(\d+),.*", r"seed=\1", word) for word in words]
    if given.get("experiment", "NAME") == "NAME":
        own = "tasks.reader" in given or given.get("tasks") in OWN_DATA
        return words if "experiment" in given else [*words, f"experiment={'small_model' if own else 'small'}"]
    # A published grid: a small model, one seed, two budgets.
    words = [
        word for word in words if not word.startswith(("model=", "seed=", "data_budget=", "trainer.max"))
    ]
    words += ["model=tiny_t5", "seed=0", "data_budget=0,1", "trainer.max_steps=1"]
    return [*words, "tasks.test_tasks=2", "tasks.test_instances=3", "logger=none"]


def _tiny(word: str) -> str:
    return "model=tiny_llama" if word == "model=smollm2_135m" else word
