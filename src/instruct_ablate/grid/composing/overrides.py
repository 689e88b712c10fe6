"""Overrides as users write them: checked against the schema, and put into the form that Hydra takes."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from instruct_ablate.configuration.composition import (
    WIDE,
    check_key,
    free_keys,
    groups,
    keys,
    shortened,
    text_keys,
)
from instruct_ablate.configuration.typed_values import check_texts
from instruct_ablate.errors import UserError, among, closed, first_line, refusal
from instruct_ablate.limits import shown

_OVERRIDE = re.compile(r"^(?P<sign>\+\+|\+|~)?(?P<key>[\w./@:$-]+)(=(?P<value>.*))?$", re.DOTALL)
# What a command may give of Hydra's: all else lays out folders, logs and jobs, and these are the cells' here.
HYDRA_KEYS = (
    "hydra/launcher", "hydra/sweeper", "hydra/sweeper/sampler", "hydra/job_logging", "hydra/hydra_logging",
    "hydra.job_logging.root.level", "hydra.verbose", "hydra.searchpath", "hydra.job.name", "hydra.job.env_set",
    "hydra.job.env_copy",
)  # fmt: skip
HYDRA_PARTS = ("hydra.launcher.", "hydra.sweeper.", "hydra.job.env_set.")  # with any key of theirs
_LEVEL = "hydra.job_logging.root.level"
_NUMBER = re.compile(r"^\s*([+-]?\d[\w.+-]*|true|false)\s*$", re.IGNORECASE)
# Quoted texts and references, which stay; else a word that stands alone between the marks of lists and mappings.
_WORDS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\$\{[^}]*\}|(?P<word>[^\s,:\[\]{}()'"]+)""")
_NO_TEXT = re.compile(r"[+-]?(\.?\d[\w.+-]*|inf|nan)|true|false", re.IGNORECASE)  # what Hydra takes for none


def split(override: str) -> tuple[str, str, str]:
    """Split `+key=value` into sign, key and value."""
    found = _OVERRIDE.match(override)
    if found is None or (found["value"] is None and found["sign"] != "~"):
        raise UserError(
            f"cannot read {shown(override)}: write key=value, e.g. instruction=simplified or seed=1"
        )
    return found["sign"] or "", found["key"], found["value"] or ""


def for_hydra(override: str) -> str:
    """Write an override as Hydra takes it.

    Numbers and truth values that name a choice of a group are quoted (Hydra refuses `data_budget=8` as a number), and
    those given for a text (`study=2024_01` would be 202401); keys of the user's own (`tasks.columns.input`) are marked
    as new.
    """
    sign, key, value = split(override)
    if sign == "~":
        return override
    if key in text_keys() or key.rpartition(".")[0] in text_keys():
        value = _as_texts(value)
        override = f"{sign}{key}={value}"
    if any(key == free or key.startswith(f"{free}.") for free in free_keys()):
        return f"{sign or '++'}{key}={value}"
    if key.partition("@")[0] not in groups():
        return override
    parts = [f"'{part.strip()}'" if _NUMBER.match(part) else part for part in value.split(",")]
    return f"{sign}{key}={','.join(parts)}"


def _as_texts(value: str) -> str:
    """Quote the numbers and truth values among texts, so that they stay as they are spelt."""
    if "range(" in value or "interval(" in value:
        return value
    before = ",:[(" if value.lstrip().startswith("{") else ",[("

    def quoted(found: re.Match[str]) -> str:
        last, following = value[: found.start()].rstrip()[-1:], value[found.end() :].lstrip()[:1]
        alone = last in before and following in ",]})"  # the empty text is in all
        return f"'{found[0]}'" if found["word"] and alone and _NO_TEXT.fullmatch(found[0]) else found[0]

    return _WORDS.sub(quoted, value)


def prepared(overrides: Iterable[str]) -> list[str]:
    """Check overrides, all faults told at once, and write them as Hydra takes them."""
    words = [word for word in overrides if not _says_nothing(word)]
    check(words)
    return [for_hydra(line) for word in words for line in long_form(word)]


def check(overrides: Iterable[str]) -> None:
    """Refuse misspelt groups and keys, and what Hydra could not read; all of them are told at once."""
    faults = []
    for override in overrides:
        try:
            _check_one(override)
        except UserError as fault:
            faults.append(shortened(str(fault)))
    if faults:
        raise refusal(faults)


def _says_nothing(override: str) -> bool:
    """Whether an override names no experiment (or way to debug), which is what is so without it."""
    group, _, choice = override.replace(" ", "").partition("=")
    return group in WIDE and "=" in override and choice in ("null", "")


def _check_one(override: str) -> None:
    sign, key, value = split(override)
    check_name(key)
    if key.startswith("hydra"):
        _check_hydra_value(sign, key, value)
    name = key.partition("@")[0]
    if sign == "~" and name in keys() and name not in groups():
        raise UserError(f"{override}: every key has a value; give another one: {key}=VALUE")
    if sign != "~" and name in groups() and value.strip() in ("", "null", "~"):
        raise UserError(f"{override}: choose one of the group's; `python train.py --help` lists them")
    if sign != "~":
        parse(for_hydra(override), override)


def check_name(key: str) -> None:
    """Refuse a misspelt group or key, one of Hydra's that has no use here, and a place where no part belongs."""
    if key.startswith(("hydra.", "hydra/", "hydra@")) or key == "hydra":
        _check_hydra(key)
        return
    name, at, place = key.partition("@")
    check_key(name)
    if at:
        raise UserError(f"{key}: each part has one place: leave out {at}{place}")


def _check_hydra(key: str) -> None:
    if key not in HYDRA_KEYS and not key.startswith(HYDRA_PARTS):
        allowed = ", ".join((*HYDRA_KEYS, *(f"{part}KEY" for part in HYDRA_PARTS)))
        raise UserError(
            f"{key} is laid out by this project{closed(key, HYDRA_KEYS)} Of Hydra's keys there are: {allowed}."
        )


def _check_hydra_value(sign: str, key: str, value: str) -> None:
    if sign == "~":
        raise UserError(f"~{key}: nothing of Hydra's can be left out; give another value: {key}=VALUE")
    if key == _LEVEL:
        among(key, value.strip("'\""), logging.getLevelNamesMapping())


def parse(line: str, given: str = "") -> Any:
    """Read an override by Hydra's grammar; what it cannot read is refused, with what would help."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(line)
    except (HydraException, ValueError, RecursionError) as error:
        said = shortened(" ".join(first_line(error).split()))
        raise UserError(f"cannot read {shown(given or line)}: {said}{_quoting(given or line)}") from error


def _quoting(override: str) -> str:
    """Return how to write a plain text that Hydra reads otherwise; nothing for what looks like a list."""
    _, key, value = split(override)
    if not all(part.strip() for part in value.split(",")) and not any(mark in value for mark in "[]{}()'\""):
        return (
            "; nothing stands before or behind a comma: give a value there, or leave the comma out (a space ends a "
            "word: several values are written without one, as in seed=0,1)"
        )
    if not value.isprintable() or not value or len(value) > 300 or value[0] in "[{'\"":
        return ""
    for mark in ("'", '"'):
        if mark not in value and "\\" not in value:
            return f"; quote the value: {shlex.quote(f'{key}={mark}{value}{mark}')}"
    return ""


def is_path(choice: str) -> bool:
    """Whether a choice of the group `model` is a folder or a hub id rather than a name."""
    bare = choice.strip().strip("'\"")
    return bare.startswith((".", "~")) or "/" in bare or (bare != "" and _is_checkpoint(Path(bare)))


def _is_checkpoint(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("config.json", "adapter_config.json"))


def long_form(override: str) -> list[str]:
    """Write `model=FOLDER` (or a hub id) as `model=pretrained model.path=FOLDER`."""
    sign, key, value = split(override)
    if key != "model" or sign == "~" or is_several(value) or not is_path(value):
        return [override]
    return ["model=pretrained", f"model.path={value.strip()}"]


def is_several(value: str) -> bool:
    """Whether a value names several (`a,b`, `range(1,3)`)."""
    return "," in value or "(" in value


def is_sweep(override: str) -> bool:
    """Tell whether an override names several values (`a,b`, `range(...)`, `choice(...)`, `glob(...)`)."""
    return bool(parse(override).is_sweep_override())


def from_params(params: Mapping[str, Any]) -> list[str]:
    """Turn `hydra.sweeper.params` (values as text, numbers or lists) into overrides."""
    overrides = []
    for key, value in params.items():
        values: Sequence[Any] = value if isinstance(value, list | tuple) else [value]
        if key in text_keys():
            check_texts(key, value)
        text = ",".join("null" if item is None else str(item) for item in values)
        overrides.append(for_hydra(f"{key}={text}"))
    return overrides
