"""Cells composed fast: each distinct choice of a group is composed once, by Hydra or as it would, then put together.

Of a single key's plain values (seeds) the first is composed, and the others of its type take its place. Choices that
reach beyond their own group (an experiment, a file with `@package _global_`) are found by comparing, and composed in
full.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, get_type_hints

from instruct_ablate.configuration.composition import (
    WIDE,
    explain,
    groups,
    name_tasks,
    register,
    unknown_choice,
    unreadable,
)
from instruct_ablate.configuration.folders import config_directory
from instruct_ablate.configuration.typed_values import plain, typed, with_one_zero
from instruct_ablate.errors import UserError, refusal
from instruct_ablate.grid.composing.choice_files import ChoiceFiles
from instruct_ablate.grid.composing.expansion import Overrides
from instruct_ablate.grid.composing.overrides import is_sweep, prepared, split
from instruct_ablate.schema import MISSING, Config

Composed = tuple[dict[str, Any], dict[str, str]]  # untyped parts, and the choice of every group
_REFERENCE = re.compile(r"\$\{(?!oc\.env)")


class Composer:
    """Composes the cells of one sweep, remembering what is shared."""

    def __init__(self, loader: Any, master: Any) -> None:
        self._loader, self._master, self._files = loader, master, ChoiceFiles(loader, master)
        self._composed: dict[Overrides, dict[str, Any]] = {}  # untyped, as Hydra has it
        self._choices: dict[Overrides, dict[str, str]] = {}  # of every group, as Hydra names them
        self._typed: dict[Overrides, Config] = {}
        self._shared: dict[tuple[Overrides, Overrides], Config] = {}
        self._wide: dict[str, bool] = {}
        self._referring: dict[Overrides, bool] = {}
        self._first: dict[tuple[str, type], str] = {}  # a key's first value of each type

    def compose(self, overrides: Overrides, alone: bool = False) -> Config:
        """Compose one cell; a fault comes out as `UserError`. One `alone` shares nothing: it is composed in full."""
        try:
            return self._full(_for_cell(overrides)) if alone else self._assemble(overrides)
        except Exception as error:
            raise (explain(error) or unreadable(error)) from error

    def is_baseline(self, model: str) -> bool:
        """Whether a choice of the group `model` is a baseline."""
        if model.strip("'\"") not in self.options("model"):
            return False
        return self.compose((f"model={model}",)).model.source == "baseline"

    def options(self, group: str) -> list[str]:
        """Name the choices of a group."""
        return list(self._loader.get_group_options(group))

    def choices(self, overrides: Overrides) -> Mapping[str, str]:
        """Name the choice of every group under these overrides."""
        self._raw(overrides)
        return self._choices[overrides]

    def deciding(self, overrides: Overrides, groups: Collection[str]) -> Overrides:
        """Return those of the overrides that can decide what is chosen of these groups."""
        return tuple(line for line in overrides if group_of(line) in groups or self._reaches_out(line))

    def _assemble(self, overrides: Overrides) -> Config:
        """Put a cell together from parts that were each composed once."""
        lines = _for_cell(overrides)
        wide = tuple(line for line in lines if self._reaches_out(line))
        narrow = [line for line in lines if line not in wide]
        if self._refers(wide) or any(self._refers((*wide, self._alike(line))) for line in narrow):
            return self._full(lines)
        alone = [line for line in narrow if _is_alone(line)]
        config = self._parts(wide, tuple(line for line in narrow if not _is_alone(line)))
        values = {key: self._value(wide, line, key) for line in alone for key in (split(line)[1],)}
        return replace(config, **values)

    def _parts(self, wide: Overrides, narrow: Overrides) -> Config:
        """Put the groups together once for all cells that choose the same: these share them, object by object."""
        if (wide, narrow) not in self._shared:
            config = self._full(wide)
            for line in sorted(narrow, key=lambda line: not group_of(line)):  # groups first, then single keys
                key = group_of(line) or split(line)[1]
                config = put_at(config, key, self._value(wide, line, key))
            self._shared[wide, narrow] = config
        return self._shared[wide, narrow]

    def _alike(self, line: str) -> str:
        """Return the line whose composition tells of this one too: the key's first of this type."""
        value = None if group_of(line) else _literal(line)
        return line if value is None else self._first.setdefault((split(line)[1], type(value)), line)

    def _value(self, wide: Overrides, line: str, key: str) -> Any:
        """Return what a choice or value puts at its key; one that the schema would convert is composed."""
        alike = self._alike(line)
        found = at_key(self._full((*wide, alike)), key)
        if alike == line:
            return found
        value = _literal(line)
        return value if type(value) is type(found) else at_key(self._full((*wide, line)), key)

    def _raw(self, overrides: Overrides) -> dict[str, Any]:
        """Compose a configuration; references are left as they stand."""
        if overrides not in self._composed:
            raw, choices = self._changed(overrides) or self._by_hydra(overrides)
            self._composed[overrides], self._choices[overrides] = name_tasks(raw, choices), choices
        return self._composed[overrides]

    def _by_hydra(self, overrides: Overrides) -> Composed:
        from omegaconf import OmegaConf

        composed = self._loader.load_sweep_config(self._master, list(overrides))
        parts = OmegaConf.masked_copy(composed, list(Config.__dataclass_fields__))
        raw: Any = OmegaConf.to_container(parts, resolve=False)
        return dict(raw), dict(composed.hydra.runtime.choices)

    def _changed(self, overrides: Overrides) -> Composed | None:
        """Put the last override on top of the others where it changes one part as Hydra would; None: ask Hydra."""
        if not overrides:
            return None
        (sign, key, _), value = split(overrides[-1]), _literal(overrides[-1])
        if sign or value is None:
            return None
        before, group = overrides[:-1], group_of(overrides[-1])
        raw, choices = self._raw(before), self._choices[before]
        if not group:
            return (put_at(raw, key, value), dict(choices)) if _is_like(raw, key, value) else None
        others = {group_of(line) for line in before}
        if key in WIDE or key != group or not isinstance(value, str) or group in others or "" in others:
            return None
        part = self._files.part(before, group, value)
        return None if part is None else ({**raw, group: part}, {**choices, group: value})

    def _full(self, overrides: Overrides) -> Config:
        if overrides not in self._typed:
            self._typed[overrides] = self._retyped(overrides) or plain(self._raw(overrides))
        return self._typed[overrides]

    def _retyped(self, overrides: Overrides) -> Config | None:
        """Type what the last override changes alone; None where that is more than one part, or refers to others."""
        from omegaconf.errors import OmegaConfBaseException

        if not overrides or self._refers(overrides):
            return None
        raw, before = self._raw(overrides), self._raw(overrides[:-1])
        changed = [name for name in raw if raw[name] is not before[name]]
        if len(changed) != 1 or changed[0] not in groups():
            return None
        try:
            part = typed(get_type_hints(Config)[changed[0]], raw[changed[0]])
        except (OmegaConfBaseException, UserError):
            return None  # which typing the whole then says
        return replace(self._full(overrides[:-1]), **{changed[0]: part})

    def _reaches_out(self, line: str) -> bool:
        """Whether a choice changes more than its own group's part of the configuration."""
        line = self._alike(line)
        if line not in self._wide:
            own = group_of(line) or split(line)[1].partition(".")[0]
            base, chosen = self._raw(()), self._raw((line,))
            others = [name for name in base if name != own]
            self._wide[line] = own in WIDE or any(base[name] != chosen[name] for name in others)
        return self._wide[line]

    def _refers(self, overrides: Overrides) -> bool:
        """Whether one key's value is taken from another key, so that parts cannot be put together freely."""
        if overrides not in self._referring:
            self._referring[overrides] = _has_reference(self._raw(overrides))
        return self._referring[overrides]


def _for_cell(overrides: Overrides) -> Overrides:
    """Leave out what is for Hydra itself."""
    return tuple(line for line in overrides if not line.startswith("hydra"))


def _is_like(raw: Mapping[str, Any], key: str, value: int | float | bool | str) -> bool:
    """Whether a key stands at a plain value of this type, so that Hydra would put this one there as it is."""
    try:
        there = at_key(raw, key)
    except (KeyError, TypeError):
        return False
    return type(there) is type(value) and there != MISSING and "${" not in str(there)


def _is_alone(line: str) -> bool:
    """Whether a line gives a value that stands beside the groups, such as a seed."""
    key = split(line)[1]
    return "." not in key and key.partition("@")[0] not in groups()


@cache
def _literal(line: str) -> int | float | bool | str | None:
    """Return the value that `key=value` gives, if it is a plain one; None for all else."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    if split(line)[0]:
        return None
    value = OverridesParser.create().parse_override(line).value()
    if isinstance(value, str) and ("${" in value or value == "???"):
        return None
    return with_one_zero(value) if isinstance(value, int | float | str) else None


def _has_reference(node: Any) -> bool:
    if isinstance(node, dict):
        return any(map(_has_reference, node.values()))
    if isinstance(node, list):
        return any(map(_has_reference, node))
    return isinstance(node, str) and bool(_REFERENCE.search(node))


def put_at(config: Any, key: str, value: Any) -> Any:
    """Return `config` with the value at a dotted key replaced."""
    first, _, rest = key.partition(".")
    if isinstance(config, dict):
        inner = {first: {}, **config}[first]
        return {**config, first: put_at(inner, rest, value) if rest else value}
    return replace(config, **{first: put_at(at_key(config, first), rest, value) if rest else value})


def at_key(config: Any, key: str) -> Any:
    """Return the value at a dotted key."""
    for name in key.split("."):
        config = config[name] if isinstance(config, dict) else vars(config)[name]
    return config


def group_of(line: str) -> str:
    """Name the group that an override chooses from; empty for a value."""
    sign, key, _ = split(line)
    name = key.partition("@")[0]
    return name if name in groups() and sign != "~" else ""


def check_choices(composer: Composer, cells: Sequence[Overrides]) -> None:
    """Refuse choices that no group offers, all of them at once."""
    asked = {
        (group_of(line), split(line)[2].strip("'\"")) for cell in cells for line in cell if group_of(line)
    }
    faults = []
    for group, choice in sorted(asked):
        allowed = composer.options(group)
        if choice not in allowed and choice not in ("null", ""):
            faults.append(str(unknown_choice(group, choice, allowed)))
    if faults:
        raise refusal(faults)


def compose_config(overrides: Sequence[str]) -> Config:
    """Compose one configuration outside of a sweep, as `python train.py OVERRIDES` would."""
    from hydra import compose, initialize_config_dir

    lines = prepared(overrides)
    if swept := [line for line in lines if is_sweep(line)]:
        raise UserError(
            f"{swept[0]} names several values, and here is but one cell: give one of them, or quote what is one value"
        )
    register()
    try:
        with initialize_config_dir(str(config_directory()), version_base=None):
            composed: Any = compose("config", overrides=lines, return_hydra_config=True)
            return plain(name_tasks(composed, composed.hydra.runtime.choices))
    except Exception as error:
        raise (explain(error) or unreadable(error)) from error
