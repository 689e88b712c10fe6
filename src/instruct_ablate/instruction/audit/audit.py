"""The audit of a variant: before and after of every task, and whether the variant keeps its promise."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from instruct_ablate.configuration.extensions import load_extensions
from instruct_ablate.instruction.audit.agreement import agreement, table
from instruct_ablate.instruction.audit.promise import broken
from instruct_ablate.instruction.catalogue import find
from instruct_ablate.instruction.check import check_variant
from instruct_ablate.instruction.content import rules_note
from instruct_ablate.instruction.content_kinds.annotation import Annotation, annotation_of
from instruct_ablate.instruction.context import Context, Side
from instruct_ablate.instruction.instruction import Instruction, as_instruction, check_instruction, vary
from instruct_ablate.instruction.label import label
from instruct_ablate.instruction.words.outputs import merged_labels
from instruct_ablate.limits import exactly
from instruct_ablate.normalisation import alike
from instruct_ablate.plural import are, counted
from instruct_ablate.schema import Config, InstructionConfig
from instruct_ablate.tasks.label_space import disagreements, read_annotation
from instruct_ablate.tasks.sampling.validation import held_out_line
from instruct_ablate.tasks.task import Task, TaskCollection
from instruct_ablate.terminal import echo, print_json

Renderings = Sequence[
    tuple[str, str]
]  # one test instance's prompt by template; none where there is but one template

SIDES: dict[Side, str] = {"train": "training", "validation": "held out", "test": "test"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One task before and after the variant; `violations` break its promise, `notes` only inform.

    `side` is what it is looked at for (training, held out, test): a task may stand on two, and be altered otherwise.
    `merges` name labels that exact match takes for one.
    `input_before` and `input_after` are the first instance's, where the variant changes inputs too (P3, response_only).
    """

    task: str
    category: str
    kind: str
    before: Instruction
    after: Instruction
    violations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    input_before: str = ""
    input_after: str = ""
    merges: tuple[str, ...] = ()
    side: str = ""

    @property
    def left(self) -> str:
        """Say how much is left of the definition."""
        before, after = (len(one.definition.split()) for one in (self.before, self.after))
        return f"{after} of {before} words"


def audit(tasks: Sequence[Task], config: InstructionConfig, context: Context) -> tuple[Finding, ...]:
    """Apply the configured variants to every task of one side and check what they promise."""
    check_instruction(config)
    return tuple(_find(task, config, context.under(config)) for task in tasks)


def _find(task: Task, config: InstructionConfig, context: Context) -> Finding:
    violations: list[str] = []
    for variant in (find("definition", config.definition), find("examples", config.examples)):
        altered = variant.apply(task, context)
        violations += [
            f"{variant.slot}={variant.name}: {fault}" for fault in broken(variant, task, altered, context)
        ]
    fault = check_variant(task, config, context)
    varied = vary(task, config, context)
    before = as_instruction(task, replace(config, definition="original", examples="original"))
    after = as_instruction(varied, config)
    asked = not (config.definition == config.examples == "original")
    notes = ["unchanged: the variant finds nothing to alter"] if asked and varied == task else []
    noted = rules_note((task,), config.definition, context)
    notes += ["not annotated as it stands: its content is found by rules"] if noted else []
    faults = (*violations, *([fault] if fault else []))
    inputs, merges = _inputs(task, varied), tuple(map(alike, merged_labels(task)))
    return Finding(task.name, task.category, task.kind, before, after, faults, tuple(notes), *inputs, merges)


def _inputs(task: Task, varied: Task) -> tuple[str, str]:
    """Return the first instance's input before and after; nothing where it stays."""
    pairs = ((one.input, other.input) for one, other in zip(task.instances, varied.instances, strict=True))
    return next((pair for pair in pairs if pair[0] != pair[1]), ("", ""))


def write_audit(
    findings: Sequence[Finding], name: str, folder: Path, renderings: Renderings = ()
) -> tuple[Path, Path]:
    """Write the findings as a page for people and as JSON; everything from tasks is escaped."""
    from jinja2 import Environment

    folder.mkdir(parents=True, exist_ok=True)
    source = (files("instruct_ablate.instruction.audit") / "audit.html.j2").read_text(encoding="utf-8")
    page, data = folder / f"audit-{name}.html", folder / f"audit-{name}.json"
    ordered = sorted(findings, key=lambda finding: (not finding.violations, finding.task))
    text = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
    made = text.render(name=name, findings=ordered, renderings=renderings, **_summary(findings))
    page.write_text(made, encoding="utf-8")
    body = audit_fields(findings, name, renderings)
    data.write_text(json.dumps(body, ensure_ascii=False, indent=1), encoding="utf-8")
    return page, data


def audit_fields(findings: Sequence[Finding], name: str, renderings: Renderings = ()) -> dict[str, Any]:
    """Return an audit for programs: as its file has it."""
    told = [asdict(finding) | {"left": finding.left} for finding in findings]
    return {"variant": name, **_summary(findings), "findings": told, "renderings": dict(renderings)}


def _summary(findings: Sequence[Finding]) -> dict[str, int]:
    return {
        "tasks": len(findings),
        "violating": sum(bool(finding.violations) for finding in findings),
        "unchanged": sum(any(note.startswith("unchanged") for note in f.notes) for f in findings),
        "merging": sum(bool(finding.merges) for finding in findings),
    }


def run_audit(
    config: Config,
    folder: Path,
    published: Path | None = None,
    as_json: bool = False,
    render: Callable[[TaskCollection], Renderings] = lambda collection: (),
) -> int:
    """Audit the configured variant over the configured tasks; 1 where a promise is broken, else 0.

    `published` is a file of label spaces that those of the tasks are compared with; `instruction.annotation`, where it
    is given, one that the rules for kinds of content are compared with.
    `render` shows a test instance under each of several templates.
    """
    from instruct_ablate.tasks.collection import read_tasks

    load_extensions(config.extensions)
    check_instruction(config.instruction)
    collection = read_tasks(config.tasks, Path(config.cache))
    held_out = [held_out_line(collection)] if collection.validation else []
    sides: tuple[tuple[Side, tuple[Task, ...]], ...] = (
        ("train", collection.train),
        ("validation", collection.validation),
        ("test", collection.test),
    )
    findings = tuple(
        replace(finding, side=SIDES[side])
        for side, tasks in sides
        for finding in audit(tasks, config.instruction, Context.of(config, collection, side))
    )
    name = label(config.instruction)
    renderings = render(collection)
    page, data = write_audit(findings, name, folder, renderings)
    lines = [*held_out, *_share(config, name), *_broken(findings), *_left(findings)]
    if config.instruction.annotation is not None:
        lines += _compared_kinds(collection, annotation_of(config.instruction.annotation, config.cache))
    if published is not None:
        lines += _compared_spaces((*collection.train, *collection.validation, *collection.test), published)
    counts = _summary(findings)
    lines.append(
        f"{name}: {counted(counts['tasks'], 'task')}, {counts['violating']} break a promise, "
        f"{counts['unchanged']} unchanged, {counts['merging']} have labels that exact match takes for one. "
        f"Page: {page}  Data: {data}"
    )
    if as_json:
        print_json(
            {**audit_fields(findings, name, renderings), "lines": lines, "page": str(page), "data": str(data)}
        )
    for line in () if as_json else lines:
        echo(line)
    return 1 if counts["violating"] else 0


def _share(config: Config, name: str) -> Iterator[str]:
    """Say that training shows some examples otherwise than the audit does, where it does so."""
    share = config.data.altered_share
    if share < 1 and name != "original":
        yield (
            f"data.altered_share={exactly(share)}: so many of the training examples are shown after {name}, the "
            "others before it; all test instances after it"
        )


def _broken(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        for violation in finding.violations:
            yield f"{finding.task}: {violation.removeprefix(f'{finding.task}: ')}"
        for merge in finding.merges:
            yield f"{finding.task}: {merge}; strict_exact_match tells them apart"


def _left(findings: Sequence[Finding]) -> Iterator[str]:
    """Say what is left of the definitions that the variant shortens."""
    sizes = [(len(f.before.definition.split()), len(f.after.definition.split())) for f in findings]
    emptied = [f.task for f in findings if f.before.definition.strip() and not f.after.definition.strip()]
    shortened = [(before, after) for before, after in sizes if after < before]
    if shortened:
        share = 100 * sum(after for _, after in shortened) / sum(before for before, _ in shortened)
        yield (
            f"{counted(len(shortened), 'definition')} {are(len(shortened))} shortened, to {share:.0f}% of their words; "
            f"{len(emptied)} to nothing{_these(emptied)}. The page has what is left of each"
        )


def _these(names: Sequence[str]) -> str:
    """Name the first of some tasks, in brackets."""
    return f" ({', '.join([*names[:3], *(['...'] if len(names) > 3 else [])])})" if names else ""


def _compared_kinds(collection: TaskCollection, annotation: Annotation) -> Iterator[str]:
    """Say how the rules for kinds of content agree with an annotation, on either side."""
    for side, tasks in (("training", collection.train), ("test", collection.test)):
        there = sum(annotation.segments(task) is not None for task in tasks)
        yield f"rules against the annotation, {there} of {counted(len(tasks), f'{side} definition')}:"
        yield table(agreement(tasks, annotation))


def _compared_spaces(tasks: Sequence[Task], path: Path) -> Iterator[str]:
    """Say which label spaces are not the published ones."""
    annotation = read_annotation(path)
    found = disagreements(tasks, annotation)
    yield from found
    both = sum(task.name in annotation for task in tasks)
    yield (f"label spaces: {both - len(found)} of {both} are those of {path.name}, {len(found)} are not")
