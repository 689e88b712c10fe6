"""Reader of a local copy of the Super-NaturalInstructions layout: tasks/*.json and splits/<split>/*.txt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from instruct_ablate.errors import UserError, UserErrors, nearest, unknown
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.intake.data_file import read_text
from instruct_ablate.tasks.intake.source import Fault, MendedError, Parsed, Source
from instruct_ablate.tasks.intake.task_file import read_task_file
from instruct_ablate.tasks.readers.download import heal, natural_instructions
from instruct_ablate.tasks.sampling import selection

FIELDS = selection.BY_SIDE | {
    "root",
    "split",
    "language",
    "categories",
    "include",
    "test_subset",
    "test_tasks",
    "test_instances",
    "validation",
    "train_on",
    "label_spaces",
}


def open_source(config: TasksConfig, cache: Path) -> Source:
    """Find the task files that the split names; without `tasks.root` the collection is downloaded first."""
    if config.root is not None:
        return open_layout(Path(config.root).expanduser(), config, "natural_instructions")
    root = natural_instructions(cache)
    try:
        source = open_layout(root, config, "natural_instructions")
    except UserError:
        if not heal(root):
            raise
        source = open_layout(root, config, "natural_instructions")
    return replace(source, parse=partial(_verified, root, source.parse))


def open_layout(root: Path, config: TasksConfig, name: str) -> Source:
    """Find the task files of any folder in this layout."""
    if not (root / "tasks").is_dir() or not (root / "splits").is_dir():
        raise UserError(
            f"tasks.root={root} is not in the Super-NaturalInstructions layout: it needs the folders "
            "tasks/ (one JSON file a task) and splits/<split>/ (train_tasks.txt, test_tasks.txt)."
        )
    folder = root / "splits" / config.split
    if not folder.is_dir():
        raise unknown("tasks.split", config.split, [path.name for path in (root / "splits").iterdir()])
    lists = [folder / f"{side}_tasks.txt" for side in ("train", "test")]
    listed = [_names(path) for path in lists]
    train, test = ([n for n in names if selection.matches(n, config.include)] for names in listed)
    _check(root, lists, (train, test), selection.unincluded(config.include, [*listed[0], *listed[1]]))
    wanted = {**dict.fromkeys(train, False), **dict.fromkeys(test, True)}
    files = [(root / "tasks" / f"{task}.json", side) for task, side in wanted.items()]
    twice = sorted(set(train) & set(test))
    notes = (f"in both splits, kept for testing only: {', '.join(twice)}",) if twice else ()
    return Source(name, (*lists, *(file for file, _ in files)), partial(_parse, files), notes=notes)


def _verified(root: Path, parse: Callable[[], Iterator[Parsed | Fault]]) -> Iterator[Parsed | Fault]:
    """Check the downloaded copy before it is parsed, and mend it; what was parsed already needs no check."""
    if heal(root):
        raise MendedError(root)
    yield from parse()


def _names(path: Path) -> list[str]:
    return list(
        dict.fromkeys(line.strip() for line in read_text(path, "the split list").split("\n") if line.strip())
    )


def _check(root: Path, lists: list[Path], names: tuple[list[str], list[str]], unmet: list[str]) -> None:
    """Refuse tasks of a split list that have no file, and what is said of patterns that fit none; all at once."""
    present = {path.stem for path in (root / "tasks").glob("*.json")}
    faults = [
        f"{path}: task {name!r} has no file {root / 'tasks' / name}.json{nearest(name, present)}"
        for path, side in zip(lists, names, strict=True)
        for name in side
        if name not in present
    ]
    faults += unmet
    if len(faults) > 20:
        hint = "Give a complete copy, or narrow it by tasks.include."
        faults = [*faults[:20], f"and {len(faults) - 20} more. {hint}"]
    if faults:
        raise UserErrors(faults)


def _parse(files: list[tuple[Path, bool]]) -> Iterator[Parsed | Fault]:
    for path, test in files:
        yield read_task_file(path, test)
