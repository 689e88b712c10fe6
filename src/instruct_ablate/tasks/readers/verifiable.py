"""Reader of the verifiable instructions that the package ships; what is trained on is the starter's, or a local copy.

The training tasks are those of the starter collection, or of `tasks.root`, a local copy of Super-NaturalInstructions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from instruct_ablate.constraints import Constraint, make, to_text
from instruct_ablate.constraints.constraint import KEY
from instruct_ablate.disk.json_objects import load_json
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.intake.intake import Columns, Draft, Row, admit
from instruct_ablate.tasks.intake.source import Fault, Parsed, Source
from instruct_ablate.tasks.readers import starter
from instruct_ablate.tasks.readers.natural_instructions import open_layout
from instruct_ablate.tasks.sampling import selection

FILE = Path(__file__).parents[1] / "verifiable" / "prompts.json"
FIELDS = selection.BY_SIDE | {
    "root",
    "split",
    "language",
    "test_tasks",
    "test_instances",
    "validation",
    "label_spaces",
}


def open_source(config: TasksConfig, cache: Path) -> Source:
    """Find the shipped requests, and the tasks that are trained on."""
    root = starter.FOLDER if config.root is None else Path(config.root).expanduser()
    return with_training(root, config, Source("verifiable", (FILE,), _parse))


def with_training(root: Path, config: TasksConfig, tested: Source) -> Source:
    """Join what is tested with the training tasks of a folder in the layout of Super-NaturalInstructions."""
    trained = open_layout(root, replace(config, include=[]), "training")
    return replace(
        tested,
        files=(*tested.files, *trained.files),
        parse=partial(_joined, trained, tested),
        notes=(*trained.notes, *tested.notes),
    )


def _joined(trained: Source, tested: Source) -> Iterator[Parsed | Fault]:
    for item in trained.parse():
        if isinstance(item, Fault) or not item.test:
            yield item
    yield from tested.parse()


def request_task(
    name: str, definition: str, category: str, source: str, rows: Sequence[tuple[Row, Sequence[Constraint]]]
) -> Parsed | Fault:
    """Make a test task of requests, their constraints in place of references."""
    draft = Draft(
        name=name,
        rows=[replace(row, output=[to_text(one) for one in constraints]) for row, constraints in rows],
        source=source,
        definition=definition,
        categories=(category,),
        columns=Columns("prompt", "constraints"),
        derives=False,
    )
    return admit(draft, test=True)


def _parse() -> Iterator[Parsed | Fault]:
    content = load_json(FILE.read_bytes())
    for task in content["tasks"]:
        rows = [
            (
                Row(f"request {one['id']}", one["input"], None, one["id"]),
                tuple(map(_made, one["constraints"])),
            )
            for one in task["instances"]
        ]
        yield request_task(task["name"], content["definition"], task["category"], str(FILE), rows)


def _made(fields: Mapping[str, Any]) -> Constraint:
    return make(fields[KEY], **{name: value for name, value in fields.items() if name != KEY})
