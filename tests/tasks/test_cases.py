"""Small inputs that went wrong, through the real command with baselines that need no model; skipped where absent."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from instruct_ablate.command_line import group
from instruct_ablate.entry import main

HUB = ("tasks=hf_dataset", "tasks.train_split=train", "tasks.test_split=test", "tasks.definition=Answer")


@pytest.fixture
def cases(shared: Path) -> Path:
    if not (shared / "cases").is_dir():
        pytest.skip("the cases (../shared/cases) are not here")
    return shared / "cases"


@dataclass(frozen=True)
class Outcome:
    """What the command did: its message, and of a cell the notes, the overall score and the rows."""

    status: int
    said: str
    notes: str = ""
    overall: dict[str, Any] | None = None
    rows: tuple[dict[str, Any], ...] = ()


Run = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(model: str, *words: str) -> Outcome:
        common = [f"output={tmp_path}/out", f"cache={tmp_path}/cache", "logger=none", "data_budget=0"]
        monkeypatch.setattr(sys, "argv", ["train.py", *common, f"model={model}", *words])
        monkeypatch.chdir(tmp_path)
        try:
            main()
            status = 0
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return outcome(tmp_path / "out", status, said)

    return run


def outcome(folder: Path, status: int, said: str) -> Outcome:
    records = list(folder.glob("*/*/record.json"))
    if not records:
        return Outcome(status, said)
    record = json.loads(records[0].read_text())
    (block,) = record["blocks"]
    lines = (records[0].parent / block["predictions"]).read_text(encoding="utf-8").splitlines()
    return Outcome(
        status, said, "\n".join(record["notes"]), block["scores"]["overall"], tuple(map(json.loads, lines))
    )


def value(overall: dict[str, Any] | None, name: str) -> Any:
    """Find a score by name, however a record lays it out."""
    assert overall is not None
    named = {**overall, **dict(overall.get("values") or ())}
    return named.get(name)


def references(found: Outcome) -> list[list[str]]:
    return [row["references"] for row in found.rows]


def choices(found: Outcome) -> list[list[str] | None]:
    return [row["choices"] for row in found.rows]


def test_a_half_of_a_character(run: Run, cases: Path) -> None:
    root = f"tasks.root={cases}/surrogate/alpaca.json"
    found = run("copy_input", "tasks=instruction_json", root, "tasks.test_split=alpaca")
    assert found.rows[0]["prediction"] == "nice \ufffd day"
    assert "broken Unicode replaced" in found.notes


def test_the_word_null_and_nothing(run: Run, cases: Path) -> None:
    columns = "tasks.columns={input: text, output: label}"
    found = run("copy_input", *HUB, columns, f"tasks.root={cases}/null_labels")
    assert references(found) == [["null"], ["some"], ["some"], ["None"]]
    assert [row["prediction"] for row in found.rows] == ["good", "bad", "", "poor"]


def test_choices_in_one_text(run: Run, cases: Path) -> None:
    root = f"tasks.root={cases}/choices_one_string"
    found = run("uniform_guess", "tasks=p3", root, "prompt=plain", "tasks.test_split='mine*'")
    assert choices(found) == [["Yes", "No"]] * 2
    assert value(found.overall, "uniform_guess") == 50


def test_choices_with_letters(run: Run, cases: Path) -> None:
    columns = "tasks.columns={input: q, output: answer, choices: choices, id: idx}"
    found = run("uniform_guess", *HUB, columns, f"tasks.root={cases}/choices_dict")
    assert choices(found) == [["blue", "red"], ["green", "pink"], ["white", "black"]]
    assert [row["instance_id"] for row in found.rows] == ["7", "8", "9"]
    assert value(found.overall, "uniform_guess") == 50


@pytest.mark.parametrize("column", ["alt", "answers"])
def test_several_references(run: Run, cases: Path, column: str) -> None:
    columns = f"tasks.columns={{input: q, output: {column}}}"
    found = run("copy_input", *HUB, columns, f"tasks.root={cases}/references_list")
    assert references(found) == [["blue", "azure"], ["black"]]


def test_a_long_field(run: Run, cases: Path) -> None:
    found = run("copy_input", "tasks=instruction_json", f"tasks.root={cases}/wide_csv", "tasks.test_split=a")
    assert max(len(row["prediction"]) for row in found.rows) > 131_072


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("c.json", [["2"], ["y"]]), ("e.jsonl.gz", [["2"]]), ("f.json", [["2"]]), ("g.json", [["2"]]),
        ("j.jsonl", [[re.compile(r"\d{4301,}")]]),
        ("b.csv", "line 2 has 5 fields, but there are 3 columns"), ("d.json", "broken JSON at line 2"),
        ("h.json", "it is UTF-16"), ("i.json", "record 1: 'input' holds a list of 2, not text"),
    ],
)  # fmt: skip
def test_shapes_of_alpaca_files(run: Run, cases: Path, name: str, right: Any) -> None:
    root = f"tasks.root={cases}/alpaca_shapes/{name}"
    found = run("copy_input", "tasks=instruction_json", root, f"tasks.test_split={name[0]}")
    if isinstance(right, str):
        assert (found.status, found.said.count("\n")) == (2, 1)
        assert f"{name}: " in found.said
        assert right in found.said
    elif name == "j.jsonl":
        assert right[0][0].fullmatch(references(found)[0][0])
    else:
        assert references(found) == right


def test_a_target_that_is_no_choice(run: Run, cases: Path) -> None:
    root = f"tasks.root={cases}/no_right_choice"
    found = run("tiny_llama", "tasks=p3", root, "prompt=plain", "evaluation=rank")
    assert found.status == 2
    assert "super_glue_rte_x: 2 of 2 rows have a target that is none of their choices" in found.said


def test_one_label(run: Run, cases: Path) -> None:
    found = run("uniform_guess", "tasks=natural_instructions", f"tasks.root={cases}/one_label/ni")
    assert choices(found) == [None] * 4
    assert value(found.overall, "uniform_guess") in (None, 0)
    assert "its only label is '2': no classification" in found.notes


def test_right_answers_in_hindi(cases: Path, tmp_path: Path) -> None:
    words = ["tasks=natural_instructions", f"tasks.root={cases}/hindi/ni", "tasks.split=xlingual"]
    common = ["tasks.language=null", f"output={tmp_path}/out", f"cache={tmp_path}/cache"]
    file = str(cases / "hindi" / "perfect.jsonl")
    done = CliRunner().invoke(group, ["import", file, "--model", "M", *words, *common])
    assert done.exit_code == 0, done.output
    found = outcome(tmp_path / "out", 0, "")
    assert value(found.overall, "exact_match") == 100
    assert len(found.rows) == 2
