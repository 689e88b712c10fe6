"""Reader of the everyday questions that the package ships: eighty with four answers each, of our own making, offline.

They are for `evaluation.general`: easy for a model that knows English, and near none of the tasks that are trained on.
No published benchmark's score is to be had from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from instruct_ablate.disk.json_objects import load_json
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.intake.intake import Draft, Row, admit
from instruct_ablate.tasks.intake.source import Fault, Parsed, Source
from instruct_ablate.tasks.sampling.selection import matches, unincluded

FILE = Path(__file__).parents[1] / "everyday" / "questions.json"
FIELDS = frozenset(
    {"categories", "include", "test_categories", "test_include", "test_tasks", "test_instances"}
)


def open_source(config: TasksConfig, cache: Path) -> Source:
    """Find the shipped questions; nothing of `cache` is needed."""
    wanted = tuple(sorted(set(config.include)))
    return Source("everyday", (FILE,), partial(_parse, wanted), key=str(wanted) if wanted else "")


def _parse(include: Sequence[str]) -> Iterator[Parsed | Fault]:
    """Yield the tasks; choices stand in order of the alphabet: of equally likely ones the first is chosen."""
    content = load_json(FILE.read_bytes())
    names = [task["name"] for task in content["tasks"]]
    yield from map(Fault, unincluded(include, names))
    for task in content["tasks"]:
        if not matches(task["name"], include):
            continue
        rows = [
            Row(
                f"question {one['id']}",
                one["question"],
                one["answer"],
                one["id"],
                sorted((one["answer"], *one["others"])),
            )
            for one in task["instances"]
        ]
        draft = Draft(
            task["name"],
            rows,
            str(FILE),
            content["definition"],
            categories=(task["category"],),
            derives=False,
        )
        yield admit(draft, test=True)
