"""Reader of the starter collection that the package ships: the same layout, no download."""

from __future__ import annotations

from pathlib import Path

from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.intake.source import Source
from instruct_ablate.tasks.readers.natural_instructions import open_layout
from instruct_ablate.tasks.sampling import selection

FOLDER = Path(__file__).parents[1] / "starter"
FIELDS = (
    frozenset({"categories", "include", "test_tasks", "test_instances", "train_on", "label_spaces"})
    | {"validation"}
    | selection.BY_SIDE
)


def open_source(config: TasksConfig, cache: Path) -> Source:
    """Find the shipped task files; nothing of `cache` is needed."""
    return open_layout(FOLDER, config, "starter")
