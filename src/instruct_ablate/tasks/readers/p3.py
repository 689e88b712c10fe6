"""Reader of P3, the prompted data sets T0 was trained on (Sanh et al. 2022), one prompt set a task.

A local folder holds `<dataset_template>.jsonl` (or .json, .parquet, .arrow), or `<dataset_template>/` with files whose
names begin with their split; a hub id (bigscience/P3) is loaded through `datasets`, the prompt sets named by
`tasks.include`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.plural import named
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.intake.data_file import stem
from instruct_ablate.tasks.intake.rows import data_files, read_rows
from instruct_ablate.tasks.intake.source import Fault, Parsed, Source
from instruct_ablate.tasks.readers import t0
from instruct_ablate.tasks.readers.dataset_splits import ask_hub, loading
from instruct_ablate.tasks.readers.p3_rows import PromptSet, parse
from instruct_ablate.tasks.readers.t0 import PER_CHOICE
from instruct_ablate.tasks.sampling import selection

FIELDS = selection.BY_SIDE | {
    "root",
    "include",
    "categories",
    "test_split",
    "test_tasks",
    "test_instances",
    "train_on",
    "label_spaces",
    "mixture",
}

_SPLITS = ("train", "validation", "test")
NAMED = 8  # of prompt sets and data sets in a note


def open_source(config: TasksConfig, cache: Path) -> Source:
    """Find prompt sets; those of the eleven that T0 is evaluated on are for testing.

    `tasks.test_split` names others by globs; `tasks.mixture` leaves only T0's training data sets to train on.
    """
    if config.root is None:
        raise UserError(
            "tasks.root is needed: a local folder of P3 prompt sets, or the hub id bigscience/P3."
        )
    root = Path(config.root).expanduser()
    if not root.exists() and config.root.count("/") == 1 and not config.root.startswith((".", "/", "~")):
        return _hub(config)
    if not root.exists():
        raise UserError(f"tasks.root={root}: no such file or folder of prompt sets.")
    files = _by_set(root)
    names = [
        name for name in files if selection.matches(name, config.include) and not _spelt_out(name, files)
    ]
    if not names:
        raise UserError(f"tasks.root={root}: no prompt sets there{_hint(config, files)}")
    unmet = selection.unincluded(config.include, [*files])
    if unmet := unmet + selection.unmatched("tasks.test_split", _globs(config), [*files], "prompt set"):
        raise UserErrors(unmet)
    sides, notes = _sides(names, config)
    sets, used = [], []
    for name, test in sides.items():
        chosen = _split_files(files[name], test)
        used += chosen
        templates = _templates(name, test, sides, config)
        sets.append(PromptSet(name, test, partial(_chain, chosen), str(chosen[0]), templates))
    listed = [
        (item.name, item.test, [str(path.relative_to(root)) for path in files[item.name]]) for item in sets
    ]
    return _source(sets, tuple(used), config, key=f"{listed}", notes=notes)


def _sides(names: Sequence[str], config: TasksConfig) -> tuple[dict[str, bool], tuple[str, ...]]:
    """Return the prompt sets that are used, with whether each is tested, and notes on what is left out."""
    sides, strange, apart = dict[str, bool](), list[str](), list[str]()
    for name in names:
        trained = t0.trained_on(name, config.mixture) if config.mixture else None
        if _tested(name, config) and not (trained and config.test_split is None):
            sides[name] = True
        elif trained or not (config.mixture or (config.test_split is None and t0.held_out(name))):
            sides[name] = False
            strange += [] if t0.trained_on(name, "t0") or config.mixture else [name]
        else:
            apart.append(name)
    notes = _noted(
        apart, "left out: T0 neither trains nor is evaluated on them (tasks.test_split names others)"
    )
    notes += _absent(sides, config)
    return sides, notes + _noted(strange, "trained on that T0 is not (tasks.mixture=t0 leaves them out)")


def _absent(sides: Mapping[str, bool], config: TasksConfig) -> tuple[str, ...]:
    """Note which of T0's data sets are not there at all, where nobody has chosen among them."""
    if config.include:
        return ()
    known = list[tuple[str, Iterable[str], bool]]()
    if config.test_split is None:
        known.append(("held-out data sets", t0.HELD_OUT, True))
    if config.mixture:
        known.append((f"data sets of tasks.mixture={config.mixture}", t0.MIXTURES[config.mixture], False))
    notes = []
    for what, data_sets, tested in known:
        there = {_of_t0(name, config, tested) for name, test in sides.items() if test == tested}
        if missing := [one for one in data_sets if one not in there]:
            of = f"{len(missing)} of T0's {len([*data_sets])} {what}"
            notes.append(f"tasks.root: {of} are not there: {named(missing, NAMED)}")
    return tuple(notes)


def _of_t0(name: str, config: TasksConfig, tested: bool) -> str | None:
    return t0.held_out(name) if tested else t0.trained_on(name, config.mixture or "t0")


def _noted(names: Sequence[str], what: str) -> tuple[str, ...]:
    return (f"{len(names)} prompt sets are {what}: {named(names, NAMED)}",) if names else ()


def _templates(name: str, test: bool, sides: Mapping[str, bool], config: TasksConfig) -> int:
    """Return among how many templates the examples of a training data set are divided; 0: no cap."""
    if test or config.mixture is None:
        return 0
    of = t0.trained_on(name, config.mixture)
    return sum(not tested and t0.trained_on(one, config.mixture or "") == of for one, tested in sides.items())


def _spelt_out(name: str, files: dict[str, list[Path]]) -> bool:
    """Tell whether a set only repeats another with a row for each choice, as P3 keeps for scoring."""
    return name.endswith(PER_CHOICE) and name.removesuffix(PER_CHOICE) in files


def _source(
    sets: list[PromptSet],
    files: tuple[Path, ...],
    config: TasksConfig,
    key: str = "",
    notes: tuple[str, ...] = (),
) -> Source:
    if not any(item.test for item in sets):
        raise UserError(
            "none of T0's eleven held-out data sets is among the prompt sets "
            f"({', '.join(item.name for item in sets[:5])}, ...): name those to test on by globs, "
            "separated by commas, as tasks.test_split, for example tasks.test_split='imdb_*' (in a grid that has other "
            "collections, too, as the environment's P3_TEST_SPLIT)."
        )
    mixed = f" mixture={config.mixture}" if config.mixture else ""
    key += f" test={config.test_split} include={config.include}{mixed}"
    return Source("p3", files, partial(parse, sets), key, notes)


def _tested(name: str, config: TasksConfig) -> bool:
    if config.test_split is None:
        return t0.is_evaluated(name)
    globs = _globs(config)
    return bool(globs) and selection.matches(name, globs)  # no patterns are "all" to `matches`


def _globs(config: TasksConfig) -> list[str]:
    given = config.test_split or ""
    return [glob for part in given.split(",") if (glob := part.strip())]


def _hint(config: TasksConfig, files: dict[str, list[Path]]) -> str:
    if not config.include:
        return "; give a folder with <dataset_template>.jsonl, .json, .parquet or .arrow files."
    return f" that match tasks.include={config.include}{selection.nearly(config.include[0], [*files])}"


def _by_set(root: Path) -> dict[str, list[Path]]:
    sets: dict[str, list[Path]] = {}
    for path in data_files(root):
        nested = path.parent != root and root.is_dir()
        name = path.relative_to(root).parts[0] if nested else stem(path)
        sets.setdefault(name, []).append(path)
    return sets


def _split_files(files: list[Path], test: bool) -> list[Path]:
    """Take the validation split for testing, as T0 does, and the training split for training."""
    order = ("validation", "test", "train") if test else _SPLITS
    for split in order:
        if chosen := [path for path in files if split in (_split(path.name), _split(path.parent.name))]:
            return chosen
    return files


def _split(name: str) -> str | None:
    return next((split for split in _SPLITS if re.match(rf"{split}\b|{split}[-_]", name)), None)


def _chain(files: list[Path]) -> Iterator[dict[str, Any]]:
    for path in files:
        yield from read_rows(path)


def _hub(config: TasksConfig) -> Source:
    """Plan the load of prompt sets from the hub; `datasets` downloads and keeps them."""
    if not config.include or any(set(name) & set("*?[") for name in config.include):
        raise UserError(
            "tasks.include must name the prompt sets to load from the hub, one by one (no wildcards)."
        )
    if unmet := selection.unmatched("tasks.test_split", _globs(config), config.include, "prompt set"):
        raise UserErrors(unmet)
    sides, notes = _sides(config.include, config)
    sets = [
        PromptSet(
            name,
            test,
            partial(_hub_rows, str(config.root), name, test),
            config.root or "",
            _templates(name, test, sides, config),
        )
        for name, test in sides.items()
    ]
    source = _source(sets, (), config, key=f"hub {config.root}", notes=notes)
    return replace(source, parse=partial(_of_hub, str(config.root), sets))


def _of_hub(repository: str, sets: list[PromptSet]) -> Iterator[Parsed | Fault]:
    """Parse prompt sets of a hub that has them: one that is away is told once, not after a minute for every set."""
    from datasets.config import HF_DATASETS_CACHE

    ask_hub(repository, Path(HF_DATASETS_CACHE))
    yield from parse(sets)


def _hub_rows(repository: str, name: str, test: bool) -> Iterable[dict[str, Any]]:
    import datasets

    splits = loading(f"{repository}, prompt set {name}", lambda: datasets.load_dataset(repository, name))
    order = ("validation", "test", "train") if test else _SPLITS
    rows: Iterable[dict[str, Any]] = splits[
        next((split for split in order if split in splits), next(iter(splits)))
    ]
    return rows
