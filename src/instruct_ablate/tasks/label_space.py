"""Label spaces: the outputs a task allows, derived by a stated rule, with an override file where it is wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from instruct_ablate.errors import UserError, UserErrors, in_a_line, nearest
from instruct_ablate.normalisation import label_form, normalised
from instruct_ablate.tasks.intake.data_file import read_json, read_text
from instruct_ablate.tasks.task import Example, Instance, Task

FEW = 5  # so many distinct outputs are a closed set even where the definition does not state them
MOST = 60  # more distinct outputs are never a closed set
STATED = 0.8  # share of the references that the definition must state where there are more than FEW
WORDS = 10  # a label is no longer than this
OVERRIDES = Path(__file__).parent / "label_spaces.yaml"

Spaces = Mapping[str, tuple[str, ...] | None]


def derive(
    definition: str, instances: Sequence[Instance], positive: Sequence[Example]
) -> tuple[str, ...] | None:
    """Return the closed set of outputs, in order of first appearance, or None for generation.

    The rule: a task is classification when its instances have one reference each (1.2 on average at most), no
    label has more than ten words, every label occurs twice on average, and there are at most five distinct
    outputs, or at most sixty of which the definition states those that cover 80 % of the references. Outputs
    that differ only in case and punctuation are one label, spelt as it first appears. Positive examples add the
    labels that the definition states and the instances at hand happen not to hold.
    """
    outputs = [reference.strip() for instance in instances for reference in instance.references]
    if not outputs or len(outputs) > 1.2 * len(instances):
        return None
    counts = Counter(map(label_form, outputs))
    if len(counts) > MOST or 2 * len(counts) > len(outputs):
        return None
    if max(len(output.split()) for output in counts) > WORDS:
        return None
    if len(counts) > FEW and _stated_share(counts, definition) < STATED:
        return None
    shown = [e.output.strip() for e in positive if _states(definition.lower(), label_form(e.output))]
    return distinct([*outputs, *shown])


def distinct(outputs: Iterable[str]) -> tuple[str, ...]:
    """Keep the first spelling of every label."""
    spelt: dict[str, str] = {}
    for output in outputs:
        if output.strip():
            spelt.setdefault(label_form(output), output)
    return tuple(spelt.values())


def _stated_share(counts: Counter[str], definition: str) -> float:
    text = definition.lower()
    plain = normalised(definition)
    stated = sum(n for label, n in counts.items() if _states(text, label) or _states(plain, label))
    return stated / sum(counts.values())


def _states(text: str, label: str) -> bool:
    # Not \b, which is no end beside a sign: labels may be "(A)" or "C++".
    return re.search(rf"(?<!\w){re.escape(label)}(?!\w)", text) is not None


def read_overrides(path: Path) -> dict[str, tuple[str, ...] | None]:
    """Read a YAML file of task name → list of labels, or null for generation."""
    return dict(_overrides_in(read_text(path, "the label spaces"), path))


@lru_cache(maxsize=8)
def _overrides_in(text: str, path: Path) -> dict[str, tuple[str, ...] | None]:
    """Parse the file's text: once for all cells of a process while it stays the same."""
    import yaml

    try:
        raw = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {in_a_line(error)}") from error
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise UserError(f"{path} must map task names to lists of labels (null: generation).")
    faults = [f"{path}: {task}: {fault}" for task, labels in raw.items() if (fault := _fault(labels))]
    if faults:
        raise UserErrors(faults)
    return {str(task): None if labels is None else tuple(labels) for task, labels in raw.items()}


def _fault(labels: object) -> str | None:
    if labels is None:
        return None
    if not isinstance(labels, list) or len(labels) < 2:
        return "give a list of at least two labels, or null for generation"
    if not all(isinstance(label, str) and label.strip() for label in labels):
        return "every label must be text; put quotes round yes, no, true, false and numbers"
    same = [form for form, count in Counter(map(label_form, labels)).items() if count > 1]
    return f"labels equal after normalisation: {', '.join(map(repr, same))}" if same else None


def overridden(tasks: Sequence[Task], spaces: Spaces) -> tuple[Task, ...]:
    """Put the given label spaces in place of the derived ones."""
    return tuple(
        replace(task, label_space=spaces[task.name]) if task.name in spaces else task for task in tasks
    )


def of_both_sides(train: Iterable[Task], test: Iterable[Task]) -> dict[str, tuple[str, ...] | None]:
    """Derive the label spaces of tasks that are trained on and tested, and whose sides show different ones, of both.

    A test split may hold two labels of three: its guess, constraint and simplified definition would be of two.
    Spaces that a data set or its configuration names are alike on both sides, and stay.
    """
    trained = {task.name: task for task in train}
    pairs = ((trained[task.name], task) for task in test if task.name in trained)
    return {
        one.name: derive(one.definition, (*one.instances, *other.instances), one.positive_examples)
        for one, other in pairs
        if one.label_space != other.label_space
        and not (one.prompted or other.prompted or one.answer_choices or other.answer_choices)
    }


def check_names(path: Path, spaces: Spaces, known: Sequence[str]) -> None:
    """Refuse label spaces for tasks that the collection does not have."""
    faults = [
        f"{path}: the collection has no task {name!r}{nearest(name, known)}"
        for name in spaces
        if name not in known
    ]
    if faults:
        raise UserErrors(faults)


FREE = "Generate free text"  # how the published annotation (Yin et al. 2023) writes generation


def read_annotation(path: Path) -> dict[str, tuple[str, ...] | None]:
    """Read published label spaces: a JSON object of task name → list of labels, or ["Generate free text"]."""
    raw = read_json(path)
    if not isinstance(raw, dict) or not all(isinstance(labels, list) for labels in raw.values()):
        raise UserError(f"{path} must hold a JSON object of task names and lists of labels.")
    return {name: None if labels == [FREE] else tuple(map(str, labels)) for name, labels in raw.items()}


def disagreements(tasks: Iterable[Task], annotation: Spaces) -> tuple[str, ...]:
    """Name the tasks whose label space is not the annotated one, and how they differ."""
    told = []
    for task in tasks:
        expected = annotation.get(task.name, task.label_space)
        ours, theirs = (
            None if space is None else {label_form(label): label for label in space}
            for space in (task.label_space, expected)
        )
        if (ours and ours.keys()) != (theirs and theirs.keys()):
            told.append(f"{task.name}: {_sides(ours, theirs)}")
    return tuple(told)


def _sides(ours: Mapping[str, str] | None, theirs: Mapping[str, str] | None) -> str:
    if ours is None or theirs is None:
        labels = _named((ours or theirs or {}).values())
        free, closed = ("here", "there") if ours is None else ("there", "here")
        return f"generation {free}, labels {closed}: {labels}"
    here = _named(ours[form] for form in ours if form not in theirs)
    there = _named(theirs[form] for form in theirs if form not in ours)
    return f"only here: {here or '-'}; only there: {there or '-'}"


def _named(labels: Iterable[str]) -> str:
    """Name the first labels, none of them at length."""
    named = [label if len(label) <= 30 else f"{label[:29]}…" for label in labels]
    return ", ".join([*named[:6], *(["…"] if len(named) > 6 else [])])
