"""Reader of P3, the prompted data sets T0 was trained on (Sanh et al. 2022), one prompt set a task.

A local folder holds `<dataset_template>.jsonl` (or .json, .parquet, .arrow), or `<dataset_template>/` with files whose
names begin with their split; a hub id (bigscience/P3) is loaded through `datasets`, the prompt sets named by
`tasks.include`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from instruct_ablate.errors import UserError, nearest
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks import selection
from instruct_ablate.tasks.data_file import stem
from instruct_ablate.tasks.dataset_splits import loading
from instruct_ablate.tasks.intake import Columns, Draft, Row, admit
from instruct_ablate.tasks.rows import data_files, read_rows
from instruct_ablate.tasks.source import Fault, Parsed, Source

FIELDS = selection.BY_SIDE | {
    "root",
    "include",
    "categories",
    "test_split",
    "test_tasks",
    "test_instances",
    "label_spaces",
}

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
# Of three of them T0 evaluates the templates named after the original task alone, which are these (t-zero's
# evaluation/template_list.py and datasets.csv; promptsource's `original_task`); of the other eight, all there are.
EVALUATED = {
    "hellaswag": (
        "complete_first_then", "Randomized_prompts_template", "Predict_ending_with_hint", "if_begins_how_continues",
    ),
    "winogrande_winogrande_xl": (
        "does_underscore_refer_to", "stand_for", "underscore_refer_to", "fill_in_the_blank", "Replace",
    ),
    "story_cloze_2016": (
        "Answer_Given_options", "Choose_Story_Ending", "Movie_What_Happens_Next", "Story_Continuation_and_Options",
        "Novel_Correct_Ending",
    ),
}  # fmt: skip
_ANLI = re.compile(r"^anli_.*_(r[123])(?:_score_eval)?$")
_SPECIAL = re.compile(r"(?:\s*(?:<\|endoftext\|>|</s>|<pad>))+\s*$")
INPUTS, TARGETS, CHOICES = "inputs_pretokenized", "targets_pretokenized", "answer_choices"
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


def is_evaluated(name: str) -> bool:
    """Whether T0 is evaluated on a prompt set of the eleven: not on those that turn the data into another task."""
    base = name.removesuffix(_PER_CHOICE)
    listed = EVALUATED.get(held_out(base) or "")
    return listed is None or base.removeprefix(f"{held_out(base)}_") in listed


def open_source(config: TasksConfig, cache: Path) -> Source:
    """Find prompt sets; those of the eleven that T0 is evaluated on are for testing.

    `tasks.test_split` names others by globs.
    """
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
    names, other = _original(names, config)
    sets, used = [], []
    for name in names:
        test = _tested(name, config)
        chosen = _split_files(files[name], test)
        used += chosen
        sets.append(PromptSet(name, test, partial(_chain, chosen), str(chosen[0])))
    named = [
        (item.name, item.test, [str(path.relative_to(root)) for path in files[item.name]]) for item in sets
    ]
    return _source(sets, tuple(used), config, key=f"{named}", notes=_noted(other))


def _original(names: Sequence[str], config: TasksConfig) -> tuple[list[str], list[str]]:
    """Divide names into those that are used and those that T0 neither trains nor is evaluated on."""
    if config.test_split is not None:
        return list(names), []
    return [n for n in names if is_evaluated(n)], [n for n in names if not is_evaluated(n)]


def _noted(other: Sequence[str]) -> tuple[str, ...]:
    if not other:
        return ()
    return (
        f"{len(other)} prompt sets of held-out data are not among those that T0 is evaluated on, and left out "
        f"(tasks.test_split names others): {', '.join(other)}",
    )


def _spelt_out(name: str, files: dict[str, list[Path]]) -> bool:
    """Tell whether a set only repeats another with a row for each choice, as P3 keeps for scoring."""
    return name.endswith(_PER_CHOICE) and name.removesuffix(_PER_CHOICE) in files


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
            "separated by commas, as tasks.test_split, for example tasks.test_split='imdb_*'."
        )
    return Source(
        "p3", files, partial(_parse, sets), f"{key} test={config.test_split} include={config.include}", notes
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
    names, other = _original(config.include, config)
    sets = [
        PromptSet(
            name,
            test := _tested(name, config),
            partial(_hub_rows, str(config.root), name, test),
            config.root or "",
        )
        for name in names
    ]
    return _source(sets, (), config, key=f"hub {config.root}", notes=_noted(other))


def _hub_rows(repository: str, name: str, test: bool) -> Iterable[dict[str, Any]]:
    import datasets

    splits = loading(f"{repository}, prompt set {name}", lambda: datasets.load_dataset(repository, name))
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
    rows = []
    for at, row in enumerate(item.rows()):
        if not row.keys() >= {INPUTS, TARGETS}:
            return Fault(
                f"{item.where}: row {at + 1}: the keys {INPUTS!r} and {TARGETS!r} are needed; "
                f"it has {', '.join(sorted(map(str, row)))}"
            )
        given = row[INPUTS]
        source = given.strip() if isinstance(given, str) else given
        rows.append(Row(f"row {at + 1}", source, row[TARGETS], choices=row.get(CHOICES), place=at))
    return admit(_draft(item, rows), item.test)


def _draft(item: PromptSet, rows: list[Row]) -> Draft:
    held = held_out(item.name)
    return Draft(
        name=item.name,
        rows=rows,
        source=item.where,
        # By data set, as T0 is scored: a category's accuracy is the mean over its templates' instances.
        categories=(held, HELD_OUT[held]) if held else (item.name.partition("_")[0],),
        columns=Columns(INPUTS, TARGETS, CHOICES),
        trimmed=clean,
        prompted=True,
        has_ids=False,
        derives=False,
    )


def clean(text: str) -> str:
    """Strip white space and special tokens at the end, such as <|endoftext|>, that published copies carry."""
    return _SPECIAL.sub("", text).strip()
