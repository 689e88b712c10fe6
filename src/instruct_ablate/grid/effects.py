"""Before a sweep: every altered variant alters prompts on the side it is for, or is refused."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from instruct_ablate.cell.state.canonical import READS_INSTRUCTION, is_baseline
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.label import parse
from instruct_ablate.prompt.effect import Bytes, View
from instruct_ablate.prompt.prompt import Tokens
from instruct_ablate.schema import Config, InstructionConfig
from instruct_ablate.tasks import collection

log = logging.getLogger(__name__)
NO_LIMIT = 10**9  # tokens of a prompt that a baseline reads


def check_effects(
    config: Config, trained_on: InstructionConfig | None, shown: tuple[InstructionConfig, ...]
) -> list[str]:
    """Return the variants that alter nothing; those that are set to do nothing are noted.

    Of `config` tasks, model, prompt, seed and reference are looked at.
    """
    found = []
    for view, instruction in _views(config, trained_on, shown):
        effect = view.effect(instruction, parse(config.reference, instruction))
        found += [effect.fault] if effect.fault else []
        for note in effect.notes:
            log.warning("%s", note)
    return found


def _views(
    config: Config, trained_on: InstructionConfig | None, shown: tuple[InstructionConfig, ...]
) -> Iterator[tuple[View, InstructionConfig]]:
    """Yield each instruction with the tasks that are shown under it."""
    read, baseline = collection.read_tasks(config.tasks, Path(config.cache)), is_baseline(config)
    if baseline and config.model.name not in READS_INSTRUCTION:
        return
    prompt = replace(config.prompt, max_source_length=NO_LIMIT) if baseline else config.prompt

    def exact() -> Tokens:
        return Bytes() if baseline else _tokens(config)

    if trained_on is not None:
        yield View(read.train, Context.of(config, read, "train"), prompt, exact, "training"), trained_on
    test = View(read.test, Context.of(config, read, "test"), prompt, exact, "test")
    yield from ((test, instruction) for instruction in shown)


def _tokens(config: Config) -> Tokens:
    from instruct_ablate.model.loading.checkpoint import load_tokenizer
    from instruct_ablate.model.loading.tokenizer import TokenizerTokens

    return TokenizerTokens(load_tokenizer(config.model, Path(config.cache)), config.prompt.ends_source)
