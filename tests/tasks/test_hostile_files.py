"""Damaged and hostile task files, drawn from fixed seeds: read as they stand, or refused in one line."""

from __future__ import annotations

import json
import random
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.disk.json_objects import DoubleKeyError, load_json
from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.intake.source import Fault
from instruct_ablate.tasks.intake.task_file import read_task_file
from instruct_ablate.tasks.task import Task
from tests.tasks.layout import task_json
from tests.trees import nodes

DEEP: Any = "x"
for _ in range(150):
    DEEP = [DEEP]
VALUES: tuple[Any, ...] = (
    None, True, 0, -1.5, 10**30, float("nan"), float("inf"), "", " ", "\n", "3", "NaN", "\0", "a\0b", "\ud800",
    "\ufeff", "a\u202eb", "\x1b[31mred", "\r\n", "x" * 100_000, "../../x", "=1+1", [], {}, [[]], [None], [""],
    [{}], {"a": None}, DEEP, ["yes", 3], {"text": "yes"}, "</s>", "yes\n<|endoftext|>",
)  # fmt: skip
ENDS = (b"\xef\xbb\xbf", b"\0", b"[", b"{", b"\xff", b"\n\n", b"\r", b",", b"NaN", b"nul")


def own_rows() -> list[dict[str, Any]]:
    return [
        {"instruction": "Answer yes or no.", "input": f"Question {n}", "output": ("yes", "no")[n % 2]}
        for n in range(6)
    ]


def p3_rows() -> list[dict[str, Any]]:
    return [
        {
            "inputs_pretokenized": f"Prompt {n}? ",
            "targets_pretokenized": f"{('Yes', 'No')[n % 2]}\n<|endoftext|>",
            "answer_choices": ["Yes", "No"],
        }
        for n in range(4)
    ]


def altered(draw: random.Random, tree: Any) -> None:
    """Change one place of a tree."""
    container, key = draw.choice(list(nodes(tree)))
    kind = draw.randrange(4)
    if kind == 0 and len(container) > 1:
        del container[key]
    elif kind == 1 and isinstance(container, list):
        container.insert(key, container[key])
    elif kind == 1:
        container[f"{key} ".upper()] = container[key]
    else:
        container[key] = json.loads(json.dumps(draw.choice(VALUES)))


def damaged(draw: random.Random, content: bytes) -> bytes:
    """Change the bytes of a file."""
    at = draw.randrange(len(content))
    match draw.randrange(8):
        case 0:
            return content[:at]
        case 1:
            return content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :]
        case 2:
            return content.replace(b"\n", b"\r")
        case 3:
            return content.decode(errors="replace").encode(draw.choice(("utf-16", "utf-8-sig", "utf-32")))
        case 4:
            return draw.choice(ENDS) + content
        case 5:
            return content + draw.choice(ENDS)
        case 6:
            return content[:at] + draw.choice(ENDS) + content[at:]
        case _:  # a key twice
            places = [found.start() + 1 for found in re.finditer(rb"\{(?=\")", content)] or [0]
            at = draw.choice(places)
            key = re.match(rb'"[^"]*"', content[at:])
            return content[:at] + (key[0] if key else b'"a"') + b': "other", ' + content[at:]


def drawn(number: int) -> tuple[str, bytes]:
    """Return the kind and the content of a hostile file."""
    draw = random.Random(number)
    kind = ("natural_instructions", "instruction_json", "p3")[number % 3]
    tree: Any = (task_json, own_rows, p3_rows)[number % 3]()
    tree = json.loads(json.dumps(tree))
    for _ in range(draw.randrange(4)):
        altered(draw, tree)
    lines = kind == "p3" or (kind == "instruction_json" and draw.random() < 0.5)
    parts = (
        [json.dumps(row, ensure_ascii=draw.random() < 0.5) for row in tree] if lines else [json.dumps(tree)]
    )
    content = "\n".join(parts).encode(errors="replace")
    for _ in range(draw.randrange(3)):
        content = damaged(draw, content) or b" "
    return kind, content


def read(kind: str, content: bytes, folder: Path) -> Sequence[Task]:
    """Read a file as the reader of its kind does."""
    if kind == "natural_instructions":
        (folder / "task1_x.json").write_bytes(content)
        found = read_task_file(folder / "task1_x.json", test=False)
        if isinstance(found, Fault):
            raise UserError(found.message)
        return (found.task,)
    data = folder / "data"
    data.mkdir()
    (data / ("imdb_Sentiment.jsonl" if kind == "p3" else "train.json")).write_bytes(content)
    test = json.dumps(p3_rows()[0] if kind == "p3" else own_rows()[0])
    (data / ("super_glue_rte_x.jsonl" if kind == "p3" else "eval.jsonl")).write_text(test)
    splits = {} if kind == "p3" else {"train_split": "train", "test_split": "eval.jsonl"}
    return read_tasks(TasksConfig(reader=kind, root=str(data), **splits), folder / "cache").train


def bare(text: str) -> str:
    """Return letters and digits alone: what no cleaning of texts may change."""
    return "".join(filter(str.isalnum, text))


def wrong(tasks: Sequence[Task], content: bytes) -> str:
    """Say what a reader made up, or took in silence; empty where all it returned stands in the file."""
    text = content.decode("utf-8-sig")
    for part in (text, *text.splitlines()):
        try:
            load_json(part)
        except DoubleKeyError as error:
            return str(error)
        except (ValueError, RecursionError):
            pass
    there = bare(
        re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), re.sub(r"\\[nrt]", " ", text))
    )
    for task in tasks:
        for instance in task.instances:
            for said in (instance.input, *instance.references):
                if bare(said) not in there:
                    return f"{said[:60]!r} does not stand in the file"
    return ""


def try_files(numbers: range, folder: Path) -> Counter[str]:
    """Read the files drawn by these numbers; return how many ended how."""
    ends: Counter[str] = Counter()
    faults = []
    for number in numbers:
        kind, content = drawn(number)
        place = folder / str(number)
        place.mkdir()
        try:
            tasks = read(kind, content, place)
        except UserError as refused:
            ends["refused"] += 1
            every = refused.faults if isinstance(refused, UserErrors) else [str(refused)]
            faults += [f"{number}: {said!r}" for said in every if "\n" in said or len(said) > 1000]
        except Exception as error:
            ends["traceback"] += 1
            faults.append(f"{number} ({kind}): {type(error).__name__}: {error}")
        else:
            ends["read"] += 1
            if what := wrong(tasks, content):
                ends["wrong"] += 1
                faults.append(f"{number} ({kind}): {what}")
    sys.stdout.write(f"{len(numbers)} task files: {dict(ends)}\n")
    assert not faults, "\n".join(faults)
    return ends


def test_some_hostile_files_are_read_as_they_stand_or_refused(tmp_path: Path) -> None:
    ends = try_files(range(45), tmp_path)
    assert ends["read"] > 5
    assert ends["refused"] > 5


@pytest.mark.slow
def test_three_hundred_hostile_files(tmp_path: Path) -> None:
    ends = try_files(range(1000, 1300), tmp_path)
    assert ends["read"] > 50
    assert ends["refused"] > 50
