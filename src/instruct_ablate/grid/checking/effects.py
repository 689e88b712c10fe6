"""Before a sweep: every altered variant alters prompts on the side it is for, or is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from instruct_ablate.cell.state.canonical import (
    READS_INSTRUCTION,
    effective,
    is_baseline,
    is_untuned,
    shown_at_test,
)
from instruct_ablate.errors import UserError
from instruct_ablate.instruction.context import Context, Side
from instruct_ablate.instruction.encodings import encodings
from instruct_ablate.instruction.instruction import instruct
from instruct_ablate.instruction.label import label, originals, parse
from instruct_ablate.prompt.effect import Bytes, View
from instruct_ablate.prompt.prompt import Tokens
from instruct_ablate.prompt.sample import NO_LIMIT
from instruct_ablate.schema import Config, InstructionConfig
from instruct_ablate.tasks import collection
from instruct_ablate.tasks.task import TaskCollection

log = logging.getLogger(__name__)


class NeedsTokenizer(Exception):  # noqa: N818 - no error: it is found out at the start
    """What is asked hangs on where the model's own tokenizer cuts."""


FURTHER = ("num_negative", "explanations")  # what tasks may not have and templates may have no place for
_NOTHING = InstructionConfig()


def check_effects(
    config: Config, trained_on: InstructionConfig | None, shown: tuple[InstructionConfig, ...]
) -> list[str]:
    """Return the variants that alter nothing; those that are set to do nothing are noted.

    Of `config` tasks, model, prompt, seed and reference are looked at.
    """
    return _effects(_views(config, trained_on, shown), config)


def check_effects_uncut(
    config: Config, trained_on: InstructionConfig | None, shown: tuple[InstructionConfig, ...]
) -> list[str]:
    """As `check_effects`, without a tokenizer: `NeedsTokenizer` where all prompts that tell may be cut."""

    def exact() -> Tokens:
        raise NeedsTokenizer

    return _effects(_views(config, trained_on, shown, exact), config)


def _effects(views: Iterator[tuple[View, InstructionConfig]], config: Config) -> list[str]:
    found, asked, trains = [], dict[tuple[str, object], bool](), False
    for view, instruction in views:
        trains = trains or view.side == "training"
        for key in _asked(instruction):
            plain = originals(instruction)
            other = replace(plain, **{key: getattr(_NOTHING, key)})
            given = key, getattr(instruction, key)
            asked[given] = asked.get(given, False) or view.alters(plain, other)
        effect = view.effect(instruction, parse(config.reference, instruction))
        found += [effect.fault] if effect.fault else []
        for note in effect.notes:
            log.warning("%s", note)
    # Of an untuned model nothing is said: it stands beside trained ones, whose training tasks may have what it lacks.
    return found + [_unseen(*given, config) for given, seen in asked.items() if trains and not seen]


def _asked(instruction: InstructionConfig) -> list[str]:
    """Name what an instruction is to show beside what all do, whatever its variants make of it."""
    none = instruction.num_positive + instruction.num_negative == 0
    return [key for key in FURTHER if getattr(instruction, key) != getattr(_NOTHING, key) and not none]


def _unseen(key: str, value: object, config: Config) -> str:
    what = {"num_negative": "negative example", "explanations": "explanation"}[key]
    tasks, template = config.tasks.reader, config.prompt.template
    return (
        f"instruction.{key}={value} shows no {what} in any prompt: the examples of tasks={tasks} have none, or "
        f"prompt.template={template} has no place for it. Leave it out, or choose other tasks or another prompt."
    )


def check_drawn(config: Config) -> None:
    """Refuse encodings among which training would draw where they are one; say of how many tasks they are fewer.

    Of `config` tasks, instruction, data and seed are looked at.
    """
    shown = encodings(config.instruction, config.data)
    if len(shown) == 1:
        return
    read = collection.read_tasks(config.tasks, Path(config.cache))
    context = Context.of(config, read, "train")
    bare = [task for task in read.train if not task.prompted]
    different = [len({instruct(task, one, context) for one in shown}) for task in bare]
    given = f"data.encodings={config.data.encodings}"
    if not bare:
        raise UserError(
            f"{given}: the training tasks of {config.tasks.reader} bring their own prompts, which have neither "
            "definition nor examples to choose from: use data.encodings=one."
        )
    if max(different) < 2:
        raise UserError(
            f"{given}: the training tasks have neither definition nor examples to choose from, so that all "
            f"{len(shown)} encodings are the same: use data.encodings=one."
        )
    if fewer := sum(number < len(shown) for number in different):
        log.warning(
            "%s: for %d of %d training tasks some of the %d encodings are the same, as they have no definition, or no "
            "examples, negative examples or explanations; those are drawn more often",
            *(given, fewer, len(read.train), len(shown)),
        )


def twins(configs: Sequence[Config]) -> list[str]:
    """Say of which instructions of a grid all prompts are the same, though each differs from the reference's.

    They are no fault: each is an ablation of its own, and differs on other tasks. But what they score is one finding.
    """
    found: dict[str, None] = {}
    for cells in _grids(configs).values():
        trained = {label(cell.instruction): cell for cell in cells if not is_untuned(cell)}
        tests = shown_at_test(cells[0])
        if max(len(trained), len(tests)) < 2:
            continue
        read = collection.read_tasks(
            cells[0].tasks, Path(cells[0].cache)
        )  # once: all of a grid have the same
        pairs = combinations(trained.values(), 2)
        found |= dict.fromkeys(_same(pair) for pair in pairs if equal_prompts(*pair, read))
        found |= dict.fromkeys(_same_at_test(_view(cells[0], read, "test"), tests))
    return list(found)


def _grids(configs: Sequence[Config]) -> dict[str, list[Config]]:
    """Group cells that show the same tasks in the same way; seed and budget make no two instructions one."""
    grids: dict[str, list[Config]] = {}
    for config in configs:
        key = (config.tasks, config.model, config.prompt, config.evaluation.instructions, config.reference)
        if not is_baseline(config):
            grids.setdefault(repr(key), []).append(config)
    return grids


def equal_prompts(one: Config, other: Config, read: TaskCollection) -> bool:
    """Tell whether two cells are trained and tested on the same prompts."""
    shown, theirs = shown_at_test(one), shown_at_test(other)
    if len(shown) != len(theirs) or _view(one, read, "train").alters(one.instruction, other.instruction):
        return False
    test = _view(one, read, "test")
    return not any(test.alters(mine, its) for (_, mine), (_, its) in zip(shown, theirs, strict=True))


def _same(pair: tuple[Config, Config]) -> str:
    names = " and ".join(f"instruction={label(config.instruction)}" for config in pair)
    return (
        f"{names}: the same prompts in training and testing, so that their cells are one finding, not two; "
        "both differ from the reference"
    )


def _same_at_test(view: View, tests: Sequence[tuple[str, InstructionConfig]]) -> Iterator[str]:
    """Name test-time instructions of a cell that show the same prompts."""
    for (name, shown), (other, its) in combinations(tests, 2):
        if not view.alters(shown, its):
            yield f"evaluation.instructions: {name} and {other} show the same prompts: one finding, not two"


def _view(config: Config, read: TaskCollection, side: Side) -> View:
    tasks, name = (read.train, "training") if side == "train" else (read.test, "test")
    context = Context.of(effective(config), read, side)
    return View(tasks, context, config.prompt, lambda: _tokens(config), name)


def _views(
    config: Config,
    trained_on: InstructionConfig | None,
    shown: tuple[InstructionConfig, ...],
    by: Callable[[], Tokens] | None = None,
) -> Iterator[tuple[View, InstructionConfig]]:
    """Yield each instruction with the tasks that are shown under it."""
    read, baseline = collection.read_tasks(config.tasks, Path(config.cache)), is_baseline(config)
    if baseline and config.model.name not in READS_INSTRUCTION:
        return
    prompt = replace(config.prompt, max_source_length=NO_LIMIT) if baseline else config.prompt

    def exact() -> Tokens:
        return Bytes() if baseline else by() if by is not None else _tokens(config)

    if trained_on is not None:
        yield View(read.train, Context.of(config, read, "train"), prompt, exact, "training"), trained_on
    test = View(read.test, Context.of(config, read, "test"), prompt, exact, "test")
    yield from ((test, instruction) for instruction in shown)


def _tokens(config: Config) -> Tokens:
    from instruct_ablate.model.loading.checkpoint import load_tokenizer
    from instruct_ablate.model.loading.tokenizer import TokenizerTokens

    return TokenizerTokens.of(load_tokenizer(config.model, Path(config.cache)), config.prompt)
