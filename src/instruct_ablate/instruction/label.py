"""Labels: the one grammar for variants in tables, folder names and `evaluation.instructions`.

    label     := "same" | "original" | one | one "+" one        (definition, then examples)
    one       := name [ "(" number ")" ]                        (the number is the variant's parameter)

A single name is the only part that differs from the original; "no_definition" and "no_examples" stand for
`empty` in that place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

from instruct_ablate.disk.file_hash import sha256_of
from instruct_ablate.errors import UserError, unknown
from instruct_ablate.instruction.catalogue import find, names
from instruct_ablate.instruction.content_kinds.annotation import PUBLISHED, annotation_file
from instruct_ablate.instruction.variant import File, Slot, Variant
from instruct_ablate.instruction.words.corpus import corpus_file
from instruct_ablate.limits import exactly
from instruct_ablate.schema import InstructionConfig

_ONE = re.compile(r"([\w.]+)(?:\(([\d.]+(?:e-\d+)?)\))?")
_NONE: dict[Slot, str] = {"definition": "no_definition", "examples": "no_examples"}
_FILES: dict[File, Callable[[str], Path]] = {"annotation": annotation_file, "corpus": corpus_file}


def label(config: InstructionConfig) -> str:
    """Return the variant's readable name, such as "simplified", "no_definition" or "empty+delusive"."""
    definition, examples = find("definition", config.definition), find("examples", config.examples)
    if definition.name == examples.name == "original":
        return "original"
    if examples.name == "original":
        return _NONE["definition"] if definition.name == "empty" else _one(definition, config)
    if definition.name == "original" and examples.name == "empty":
        return _NONE["examples"]
    both = f"{_one(definition, config)}+{_one(examples, config)}"
    alone = definition.name == "original" and _slot_of(examples.name) == "examples"
    return _one(examples, config) if alone else both


def parse(given: str, base: InstructionConfig) -> InstructionConfig:
    """Return the configuration that a label stands for; all that it does not name is as in `base`."""
    text = given.replace(" ", "")
    if text == "same":
        return base
    parts = text.split("+")
    if len(parts) > 2:
        raise UserError(f"instruction label {given!r}: give one variant, or definition+examples.")
    if len(parts) == 2:
        return _set(_set(base, "definition", parts[0], given), "examples", parts[1], given)
    plain = replace(base, definition="original", examples="original")
    for slot, name in _NONE.items():
        if text == name:
            return _set(plain, slot, "empty", given)
    return plain if text == "original" else _set(plain, _slot_of(_split(text, given)[0]), text, given)


def originals(config: InstructionConfig) -> InstructionConfig:
    """Return the instruction with nothing altered, and as many examples as before."""
    return replace(config, definition="original", examples="original")


def canonical(config: InstructionConfig) -> InstructionConfig:
    """Set what the variants do not read to its default, so that two ways of saying the same are equal."""
    used = {find("definition", config.definition).parameter, find("examples", config.examples).parameter}
    defaults: dict[str, Any] = {
        f.name: f.default for f in fields(InstructionConfig) if f.name in ("rate", "correct")
    }
    if config.examples == "empty" or config.num_positive == 0:
        defaults |= {"examples": "empty", "num_positive": 0, "correct": InstructionConfig.correct}
        used.discard("correct")  # where no examples are shown, none are right or wrong
    return replace(config, **{key: value for key, value in defaults.items() if key not in used})


def versions(configs: Iterable[InstructionConfig]) -> list[str]:
    """Return what variants are made with, where that is not what it was at first: their versions, users' files."""
    used = [(find(slot, getattr(canonical(one), slot)), one) for one in configs for slot in _NONE]
    numbers = {f"{variant.name} {variant.version}" for variant, _ in used if variant.version > 1}
    files = {(v.reads, vars(one)[v.reads]) for v, one in used if v.reads and vars(one)[v.reads]}
    return sorted(numbers) + sorted(f"{key} {_digest(key, path)}" for key, path in files)


def counted(config: InstructionConfig) -> dict[str, Any]:
    """Return what of an instruction is hashed as it stands; of files the contents count, in `versions`."""
    return {key: value for key, value in vars(canonical(config)).items() if key not in get_args(File)}


def _digest(key: File, path: str) -> str:
    if key == "annotation" and path in PUBLISHED:
        return PUBLISHED[path].sha256
    return sha256_of(_FILES[key](path))


def _one(variant: Variant, config: InstructionConfig) -> str:
    if variant.parameter is None:
        return variant.name
    return f"{variant.name}({exactly(config.rate if variant.parameter == 'rate' else config.correct)})"


def _slot_of(name: str) -> Slot:
    """Tell which part a single name alters; a user's dotted path alters the definition."""
    if name in names("definition"):
        return "definition"
    if name in names("examples"):
        return "examples"
    if "." in name:
        return "definition"
    raise unknown(
        "instruction label", name, {"same", *_NONE.values(), *names("definition"), *names("examples")}
    )


def _split(text: str, given: str) -> tuple[str, float | None]:
    found = _ONE.fullmatch(text)
    if found is None:
        raise UserError(f"instruction label {given!r}: write name or name(number), such as deleted(0.2).")
    try:
        return found[1], float(found[2]) if found[2] else None
    except ValueError as error:
        raise UserError(f"instruction label {given!r}: {found[2]!r} is no number.") from error


def _set(config: InstructionConfig, slot: Slot, text: str, given: str) -> InstructionConfig:
    name, number = _split(text, given)
    variant = find(slot, name)
    changes: dict[str, Any] = {slot: name}
    if number is not None:
        if variant.parameter is None:
            raise UserError(f"instruction label {given!r}: {name!r} takes no number.")
        if not 0 <= number <= 1:
            raise UserError(f"instruction label {given!r}: give a share between 0 and 1.")
        changes[variant.parameter] = number
    return replace(config, **changes)
