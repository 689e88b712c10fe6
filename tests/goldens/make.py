"""Write the goldens anew: `python -m tests.goldens.make identities defaults old_study mid_training`.

Only for a change of identity that is wanted and stated; see README.md. What is there is never overwritten: remove it
first. Everything is run as users run it, in a folder of its own; what names the machine is replaced.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.goldens import cases, expected

HERE = cases.HERE
ROOT = HERE.parents[1]
TASKS = (
    "tasks.test_tasks=6", "tasks.test_instances=3", "instruction.num_positive=1", "prompt.max_target_length=8",
    "trainer.precision=fp32", "trainer.accelerator=cpu", "trainer.threads=1", "trainer.progress=false",
    "logger=none",
)  # fmt: skip
GRID = (
    "model=tiny_llama", "instruction=original,simplified", "seed=0,1", "data_budget=2", "data_budget.tasks=3",
    "evaluation=constrained", "evaluation.instructions=[same,original]", "trainer.max_steps=2",
    "trainer.learning_rate=1e-2", "study=old_study",
    'hypotheses=["simplified equals original on exact_match within 5"]',
)  # fmt: skip
BASELINES = ("model=uniform_guess,copy_input", "study=old_study")
# Adapters alone are trained, so that their states are small.
STOPPED = (
    "model=tiny_llama", "method=lora", "method.learning_rate_factor=1", "method.rank=2",
    "data_budget=2", "data_budget.tasks=6", "trainer.batch_size=2",
    "trainer.max_steps=6", "trainer.learning_rate=1e-2", "trainer.checkpoint_every_steps=2", "study=mid_training",
)  # fmt: skip


def identities() -> None:
    """Compose every case and freeze what was hashed."""
    target = fresh(HERE / "identities.json")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases.write_data(folder / "data")
        every = {name: (None, words) for name, words in cases.CASES.items()} | cases.ALIKE
        cells = [expected.identity_row(name, words, other, folder) for name, (other, words) in every.items()]
        imports = [expected.import_row(name, folder) for name in cases.IMPORTS]
        stored = [expected.task_rows(name, cases.CASES[name], folder) for name in cases.STORED]
    parts = {"cells": cells, "imported": imports, "stored_tasks": stored}
    listed = ",\n".join(f'"{name}": [\n{_lines(rows)}\n]' for name, rows in parts.items())
    target.write_text(f"{{{listed}}}\n", encoding="utf-8")


def _lines(rows: list[dict[str, Any]]) -> str:
    return ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


def defaults() -> None:
    """Freeze the schema's defaults that stand in hashes for what was not used."""
    target = fresh(HERE / "defaults.json")
    with tempfile.TemporaryDirectory() as name:
        found = expected.neutral_values(Path(name))
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def old_study() -> None:
    """Run a small study to its end with the real command, and write down what its report says."""
    target = fresh(HERE / "old_study")
    with tempfile.TemporaryDirectory() as name:
        for words in ((*GRID, *TASKS), (*BASELINES, *TASKS)):
            subprocess.run([*COMMAND, *words], cwd=name, env=environment(), check=True)
        copy_clean(Path(name) / "multirun" / "old_study", target, Path(name))
    for file, text in expected.report_texts(target).items():
        (HERE / file).write_text(text, encoding="utf-8")


def mid_training() -> None:
    """Run a cell that is told to stop while it trains, and keep its folder as it lies there."""
    target = fresh(HERE / "mid_training")
    with tempfile.TemporaryDirectory() as name:
        stopped = [sys.executable, "-m", "tests.goldens.make", "stop_after_two_steps"]
        subprocess.run([*stopped, *STOPPED, *TASKS], cwd=name, env=environment(), check=False)
        copy_clean(Path(name) / "multirun" / "mid_training", target, Path(name))


def stop_after_two_steps(words: list[str]) -> None:
    """Be `train.py`, and send this very process SIGTERM as soon as the first checkpoint is written."""
    from instruct_ablate import entry
    from instruct_ablate.model.training.resume import training_state as resume

    save = resume.save

    def save_and_stop(folder: Path, state: dict[str, Any]) -> None:
        save(folder, state)
        if state["step"] == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    resume.save = save_and_stop
    sys.argv = ["train.py", *words]
    entry.main()


COMMAND = (sys.executable, str(ROOT / "train.py"), "-m")


def environment() -> dict[str, str]:
    """Return the environment of a command: this checkout, one thread, nothing of the user's."""
    path = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("INSTRUCT_", "WANDB_"))}
    return {**kept, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def copy_clean(study: Path, target: Path, folder: Path) -> None:
    """Copy a study without lock files, and with neutral words for what names the machine and its folders."""
    shutil.copytree(study, target, ignore=shutil.ignore_patterns("*.lock", "report"))
    for path in sorted(target.rglob("*")):
        if path.is_file() and path.suffix in (".json", ".jsonl", ".yaml", ".txt"):
            text = path.read_text(encoding="utf-8")
            for found in (f"{ROOT}/", f"{folder.resolve()}/", f"{folder}/"):
                text = text.replace(found, "")
            if path.name == "record.json":
                text = neutral(text)
            path.write_text(text, encoding="utf-8")


def neutral(record: str) -> str:
    """Return a record's text with the machine's name replaced."""
    told = json.loads(record)
    if told["environment"]:
        told["environment"]["host"] = "host"
    return json.dumps(told, ensure_ascii=False, indent=1)


def fresh(path: Path) -> Path:
    """Refuse to overwrite a golden."""
    if path.exists():
        sys.exit(f"{path} is there: a golden is never overwritten; read README.md before you remove it")
    return path


if __name__ == "__main__":
    if sys.argv[1:2] == ["stop_after_two_steps"]:
        stop_after_two_steps(sys.argv[2:])
    else:
        for part in sys.argv[1:]:
            {f.__name__: f for f in (identities, defaults, old_study, mid_training)}[part]()
