"""The guide's own code runs, from a directory of the user's, outside the package."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from instruct_ablate.cell.state.record.predictions import PredictionRow, read_predictions
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.configuration.extensions import load_extensions
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.instruction import instruct
from instruct_ablate.instruction.variant import VARIANTS
from instruct_ablate.metrics import load_metrics, score_prediction
from instruct_ablate.prompt.build import build_prompts
from instruct_ablate.prompt.template_set import under_each
from instruct_ablate.schema import InstructionConfig, PromptConfig, TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.task import Task

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", re.DOTALL)


class Characters:
    """A tokenizer with a token a character."""

    def count(self, text: str) -> int:
        return len(text)

    def clip(self, text: str, limit: int) -> str:
        return text[:limit]

    def chat(self, text: str) -> str:
        return text


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's directory with every file that the guide shows."""
    for page in DOCS.glob("*.md"):
        for name, code in BLOCK.findall(page.read_text(encoding="utf-8")):
            (tmp_path / Path(name).name).write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_every_kind_of_extension_is_shown_and_takes_ten_lines(own: Path):
    files = {path.name: path.read_text(encoding="utf-8") for path in own.iterdir()}
    assert set(files) == {
        "my_variants.py",
        "my_prompts.py",
        "my_metrics.py",
        "my_tasks.py",
        "reviews.yaml",
        "my_set.yaml",
        "my_hints.py",
        "films.yaml",
        "mine.yaml",
    }
    for name, code in files.items():
        assert len([line for line in code.splitlines() if line.strip()]) <= 10, name


def test_variant(own: Path, task: Task, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(VARIANTS, "definition", dict(VARIANTS["definition"]))  # forgotten after the test
    load_extensions(["my_variants.py"])
    shouted = instruct(task, InstructionConfig(definition="shouted"), Context(0, (task,)))
    assert shouted.definition == task.definition.upper()
    original = instruct(task, InstructionConfig(), Context(0, (task,)))
    assert shouted.positive_examples == original.positive_examples


def test_prompt(own: Path, task: Task):
    config = PromptConfig("my_prompts.question", max_source_length=1000)
    prompts = build_prompts((task,), InstructionConfig(), config, Characters(), Context(0, (task,)))
    examples = "".join(f"{one.input}\n{one.output}\n\n" for one in task.positive_examples[:2])
    assert examples
    assert prompts[0].source == f"{examples}{task.instances[0].input}\n\n{task.definition}\nAnswer:"


def test_set_of_templates(own: Path, task: Task):
    config = PromptConfig("my_set.yaml", max_source_length=1000)
    questions, bars = (
        build_prompts((task,), InstructionConfig(), one, Characters(), Context(0, (task,)))[0].source
        for one in under_each(config)
    )
    assert questions.endswith(f"Q: {task.instances[0].input}\nA:")
    assert bars.endswith(f"in: {task.instances[0].input} || out:")


def test_metric(own: Path):
    metrics = load_metrics(["my_metrics.first_word"])
    assert score_prediction("Paris it is", ("Paris",), None, metrics).get("first_word") == 1.0
    assert score_prediction("Lyon", ("Paris",), None, metrics).get("first_word") == 0.0


def test_reader(own: Path):
    collection = read_tasks(TasksConfig(reader="my_tasks.parity"))
    assert [task.name for task in collection.test] == ["large"]
    assert collection.test[0].instances[1].references == ("odd",)


def write_reviews(folder: Path) -> None:
    rows = {"train": "text,label\nlovely,positive\nawful,negative\n", "test": "text,label\ngreat,positive\n"}
    (folder / "my_reviews").mkdir()
    for name, text in rows.items():
        (folder / "my_reviews" / f"{name}.csv").write_text(text, encoding="utf-8")


def test_own_data_set(own: Path):
    import yaml

    write_reviews(own)
    config = TasksConfig(**yaml.safe_load((own / "reviews.yaml").read_text(encoding="utf-8")))
    collection = read_tasks(config, own / "cache")
    assert collection.train[0].label_space == ("positive", "negative")
    assert collection.test[0].instances[0].references == ("positive",)


def run(folder: Path, *words: str) -> tuple[CellRecord, tuple[PredictionRow, ...]]:
    """Run one cell as a user would, from the user's own directory; return record and predictions."""
    common = ["logger=none", "trainer.progress=false", "trainer.accelerator=cpu", f"cache={folder}/cache"]
    done = subprocess.run(
        [sys.executable, str(DOCS.parent / "train.py"), *words, *common],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(DOCS.parent / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("multirun/*/*/record.json")
    record = read_record(path.parent)
    assert record is not None
    return record, read_predictions(path.parent / record.blocks[0].predictions)


def test_all_of_ones_own_together_through_the_command(own: Path):
    record, rows = run(
        own, "model=tiny_llama", "data_budget=0", "tasks.reader=my_tasks.parity", "extensions=[my_variants.py]",
        "instruction.definition=shouted", "evaluation.instructions=[shouted+original]",
        "prompt.template=my_prompts.question", "evaluation.metrics=[my_metrics.first_word]",
    )  # fmt: skip
    assert rows[0].prompt == "50\n\nIS THE NUMBER 'EVEN' OR 'ODD'?\nAnswer:"
    assert record.blocks[0].scores.overall.values[-1][0] == "first_word"


def test_columns_on_the_command_line(own: Path):
    write_reviews(own)
    page = (DOCS / "tasks.md").read_text(encoding="utf-8")
    (command,) = [line for line in page.splitlines() if "tasks.columns=" in line]
    words = shlex.split(command)
    assert words[:2] == ["python", "train.py"]
    _, rows = run(own, "model=majority", *words[2:])
    assert [row.references for row in rows] == [("positive",)]


def test_the_ten_lines_of_yaml_as_a_choice(own: Path):
    write_reviews(own)
    (own / "conf" / "tasks").mkdir(parents=True)
    (own / "reviews.yaml").rename(own / "conf" / "tasks" / "reviews.yaml")
    _, rows = run(own, "model=majority", "tasks=reviews")
    assert rows[0].choices == ("positive", "negative")


def test_every_name_in_the_tables_exists():
    page = (DOCS / "variants.md").read_text(encoding="utf-8")
    shown = set(
        re.findall(r"`([a-z_]+)`", "\n".join(line for line in page.splitlines() if line.startswith("| `")))
    )
    assert {*VARIANTS["definition"], *VARIANTS["examples"]} <= shown
    experiments = (DOCS / "experiments.md").read_text(encoding="utf-8")
    for path in (DOCS.parent / "conf" / "experiment").glob("*.yaml"):
        assert f"`{path.stem}`" in experiments
