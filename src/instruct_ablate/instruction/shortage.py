"""Tasks that have fewer examples than an instruction is to show: what "three examples" means then differs by task.

Whoever warns before the first cell, notes it in a record or gathers it for a caption takes the sentence from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.instruction import Instruction, as_instruction, vary
from instruct_ablate.instruction.label import canonical, originals
from instruct_ablate.plural import counted, have, named
from instruct_ablate.schema import InstructionConfig
from instruct_ablate.tasks.task import Task

NAMED = 5  # tasks that a sentence names
_NOUNS = {
    "num_positive": "positive examples",
    "num_negative": "negative examples",
    "explanations": "explanations",
}
_SAID = re.compile(
    rf"(instruction\.(?:{'|'.join(_NOUNS)})=\w+): (\d{{1,9}}) of (\d[\d,]{{0,11}}) (\w+) tasks? ha(?:s|ve) "
    rf"fewer ([\w ]+).*"
)
Numbers = tuple[int, int]  # of what a task shows, and of what it was to show
Count = Callable[[Instruction], Numbers]


def shortage_notes(
    tasks: Sequence[Task], config: InstructionConfig, context: Context, side: str
) -> list[str]:
    """Say for each number of an instruction which tasks have fewer; nothing of tasks that bring their own prompts.

    `side` is "training" or "test". Of positive examples nothing is said where no task has any: two are asked for by
    default, and collections without examples are read as they are.
    """
    asked = canonical(config)
    bare = [task for task in tasks if task.instances and not task.prompted]
    notes = []
    for key, count in _counts(asked).items():
        short = _short(bare, asked, context, count)
        none = len(short) == len(bare) and not any(has for has, _ in short.values())
        if short and not (none and key == "num_positive"):
            given = f"instruction.{key}={getattr(asked, key)}"
            of = f"{len(short)} of {counted(len(bare), f'{side} task')}"
            notes.append(f"{given}: {of} {have(len(short))} fewer {_NOUNS[key]}: {_named(short)}")
    return notes


def told_shortages(notes: Iterable[str]) -> Iterator[str]:
    """Pick what `shortage_notes` says out of a record's notes, without the test under which each was met."""
    return (found[0] for note in notes if (found := _SAID.search(note)))


def in_one(lines: Iterable[str]) -> Iterator[str]:
    """Put those of these sentences into one that differ in their tasks alone: seeds and budgets draw others each."""
    found: dict[tuple[str, ...], dict[str, tuple[int, int]]] = {}
    for line in lines:
        if said := _SAID.fullmatch(line):
            given, short, every, side, noun = said.groups()
            numbers = int(short), int(every.replace(",", ""))
            found.setdefault((given, side, noun), {})[line] = numbers
    for (given, side, noun), told in found.items():
        if len(told) == 1:
            yield from told
            continue
        shares = sorted(told.values(), key=lambda numbers: (numbers[0] / max(1, numbers[1]), numbers))
        span = " to ".join(dict.fromkeys(f"{short} of {every:,}" for short, every in (shares[0], shares[-1])))
        yield f"{given}: {span} {side} tasks have fewer {noun}; which ones, the notes of each cell's record say"


def _counts(config: InstructionConfig) -> dict[str, Count]:
    """Return how to count what is asked for, by its key."""
    found: dict[str, Count] = {}
    if config.num_positive:
        found["num_positive"] = lambda told: (len(told.positive_examples), config.num_positive)
    if config.num_negative:
        found["num_negative"] = lambda told: (len(told.negative_examples), config.num_negative)
    if config.explanations:
        found["explanations"] = _explained
    return found


def _explained(told: Instruction) -> Numbers:
    shown = (*told.positive_examples, *told.negative_examples)
    return sum(bool(example.explanation) for example in shown), len(shown)


def _short(
    tasks: Sequence[Task], config: InstructionConfig, context: Context, count: Count
) -> dict[str, Numbers]:
    """Return the tasks that have fewer as they are, and show fewer under the variant, with their numbers.

    Few have fewer, and these alone are varied: a variant may be slow to draw. One that drops what tasks have is no
    shortage of theirs.
    """
    plain, found = originals(config), dict[str, Numbers]()
    for task in tasks:
        has, wanted = count(as_instruction(task, plain))
        if has < wanted:
            has, wanted = count(as_instruction(vary(task, config, context), config))
        if has < wanted:
            found[task.name] = has, wanted
    return found


def _named(short: dict[str, Numbers]) -> str:
    return named([f"{name} ({has} of {wanted})" for name, (has, wanted) in short.items()], NAMED)
