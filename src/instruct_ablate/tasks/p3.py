"""Reader of P3, the prompted data sets T0 was trained on (Sanh et al. 2022), one prompt set a task.

A local folder holds `<dataset_template>.jsonl` (or .json, .parquet, .arrow), or `<dataset_template>/` with files whose
names begin with their split; a hub id (bigscience/P3) is loaded through `datasets`, the prompt sets named by
`tasks.include`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from instruct_ablate.errors import UserError, nearest
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.rows import data_files, read_rows
from instruct_ablate.tasks.source import Fault, Parsed, Source
from instruct_ablate.tasks.task import Instance, Task

FIELDS = frozenset(
    {"root", "include", "categories", "test_split", "test_tasks", "test_instances", "label_spaces"}
)

# T0's eleven held-out evaluation data sets (Sanh et al. 2022, section 5), as P3 names them, by task cluster.
HELD_OUT = {
    "super_glue_rte": "Natural Language Inference",
    "super_glue_cb": "Natural Language Inference",
    "anli_r1": "Natural Language Inference",
    "anli_r2": "Natural Language Inference",
    "anli_r3": "Natural Language Inference",
    "super_glue_wsc.fixed": "Coreference Resolution",
    "winogrande_winogrande_xl": "Coreference Resolution",
    "super_glue_copa": "Sentence Completion",
    "story_cloze_2016": "Sentence Completion",
    "hellaswag": "Sentence Completion",
    "super_glue_wic": "Word Sense Disambiguation",
}
_ANLI = re.compile(r"^anli_.*_(r[123])(?:_score_eval)?$")
_SPECIAL = re.compile(r"(?:\s*(?:<\|endoftext\|>|</s>|<pad>))+\s*$")
_PER_CHOICE = "_score_eval"
_SPLITS = ("train", "validation", "test")

Rows = Callable[[], Iterable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class PromptSet:
    """One prompt set: its data set and template in one name, and where its rows are."""

    name: str
    test: bool
    rows: Rows
    where: str


def held_out(name: str) -> str | None:
    """Return which of the eleven a prompt set belongs to, or None for a training data set.

    P3 names ANLI's prompt sets by template first and round last (anli_guaranteed_possible_impossible_r1).
    """
    if rounds := _ANLI.match(name):
        return f"anli_{rounds[1]}"
    return next((d for d in HELD_OUT if name == d or name.startswith(f"{d}_")), None)


def open_source(config: TasksConfig, cache: Path) -> Source:
    """Find prompt sets; those of the eleven are for testing, unless `tasks.test_split` names others by globs."""
    if config.root is None:
        raise UserError(
            "tasks.root is needed: a local folder of P3 prompt sets, or the hub id bigscience/P3."
        )
    root = Path(config.root).expanduser()
    if not root.exists() and config.root.count("/") == 1 and not config.root.startswith((".", "/", "~")):
        return _hub(config)
    files = _by_set(root)
    names = [name for name in files if _matches(name, config.include) and not _spelt_out(name, files)]
    if not names:
        raise UserError(f"tasks.root={root}: no prompt sets there{_hint(config, files)}")
    sets, used = [], []
    for name in names:
        test = _tested(name, config)
        chosen = _split_files(files[name], test)
        used += chosen
        sets.append(PromptSet(name, test, partial(_chain, chosen), str(chosen[0])))
    return _source(sets, tuple(used), config)


def _spelt_out(name: str, files: dict[str, list[Path]]) -> bool:
    """Tell whether a set only repeats another with a row for each choice, as P3 keeps for scoring."""
    return name.endswith(_PER_CHOICE) and name.removesuffix(_PER_CHOICE) in files


def _source(sets: list[PromptSet], files: tuple[Path, ...], config: TasksConfig, key: str = "") -> Source:
    if not any(item.test for item in sets):
        raise UserError(
            "none of T0's eleven held-out data sets is among the prompt sets "
            f"({', '.join(item.name for item in sets[:5])}, ...): name those to test on by globs, "
            "separated by commas, as tasks.test_split, for example tasks.test_split='imdb_*'."
        )
    return Source(
        "p3", files, partial(_parse, sets), key=f"{key} test={config.test_split} include={config.include}"
    )


def _tested(name: str, config: TasksConfig) -> bool:
    if config.test_split is None:
        return held_out(name) is not None
    return _matches(name, [pattern.strip() for pattern in config.test_split.split(",")])


def _matches(name: str, patterns: list[str]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _hint(config: TasksConfig, files: dict[str, list[Path]]) -> str:
    if not config.include:
        return "; give a folder with <dataset_template>.jsonl, .json, .parquet or .arrow files."
    return f" that match tasks.include={config.include}{nearest(config.include[0], files)}"


def _by_set(root: Path) -> dict[str, list[Path]]:
    sets: dict[str, list[Path]] = {}
    for path in data_files(root):
        nested = path.parent != root and root.is_dir()
        name = path.relative_to(root).parts[0] if nested else path.stem
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
    sets = [
        PromptSet(
            name,
            test := _tested(name, config),
            partial(_hub_rows, str(config.root), name, test),
            config.root or "",
        )
        for name in config.include
    ]
    return _source(sets, (), config, key=f"hub {config.root}")


def _hub_rows(repository: str, name: str, test: bool) -> Iterable[dict[str, Any]]:
    import datasets

    try:
        splits = datasets.load_dataset(repository, name)
    except Exception as error:  # the library raises many kinds; each means that nothing came
        raise UserError(f"cannot load {name} of {repository} from the hub: {error}") from error
    order = ("validation", "test", "train") if test else _SPLITS
    rows: Iterable[dict[str, Any]] = splits[
        next((split for split in order if split in splits), next(iter(splits)))
    ]
    return rows


def _parse(sets: list[PromptSet]) -> Iterator[Parsed | Fault]:
    for item in sets:
        try:
            yield _task(item)
        except UserError as error:
            yield Fault(str(error))


def _task(item: PromptSet) -> Parsed | Fault:
    instances, choices = [], []
    for at, row in enumerate(item.rows()):
        texts = [row.get(f"{key}_pretokenized") for key in ("inputs", "targets")]
        if not all(isinstance(text, str) for text in texts):
            return Fault(
                f"{item.where}: row {at + 1}: the keys 'inputs_pretokenized' and 'targets_pretokenized' are needed; "
                f"it has {', '.join(sorted(row))}"
            )
        identity = f"{item.name}-{at}"
        instances.append(Instance(identity, str(texts[0]).strip(), (clean(str(texts[1])),)))
        if given := row.get("answer_choices"):
            choices.append((identity, tuple(clean(str(choice)) for choice in given)))
    if not instances:
        return Fault(f"{item.where}: no rows")
    return Parsed(_built(item.name, instances, choices), item.test)


def _built(name: str, instances: list[Instance], choices: list[tuple[str, tuple[str, ...]]]) -> Task:
    """Make the task: choices that all instances share are its label space, others stay with the instances."""
    sets = {found for _, found in choices}
    shared = len(sets) == 1 and len(choices) == len(instances)
    space = next(iter(sets)) if shared else None  # as they stand: equal ones are told before ranking
    held = held_out(name)
    return Task(
        name=name,
        definition="",
        instances=tuple(instances),
        # By data set, as T0 is scored: a category's accuracy is the mean over its templates' instances.
        categories=(held, HELD_OUT[held]) if held else (name.partition("_")[0],),
        label_space=space,
        prompted=True,
        answer_choices=() if shared else tuple(choices),
    )


def clean(text: str) -> str:
    """Strip white space and special tokens at the end, such as <|endoftext|>, that published copies carry."""
    return _SPECIAL.sub("", text).strip()
