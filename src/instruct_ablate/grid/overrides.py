"""Overrides as users write them: checked against the schema, and put into the form that Hydra takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from instruct_ablate.composition import check_key, free_keys, groups
from instruct_ablate.errors import UserError, UserErrors

_OVERRIDE = re.compile(r"^(?P<sign>\+\+|\+|~)?(?P<key>[\w./@:$-]+)(=(?P<value>.*))?$", re.DOTALL)
_NUMBER = re.compile(r"^\s*([+-]?\d[\w.+-]*|true|false)\s*$", re.IGNORECASE)


def split(override: str) -> tuple[str, str, str]:
    """Split `+key=value` into sign, key and value."""
    found = _OVERRIDE.match(override)
    if found is None or (found["value"] is None and found["sign"] != "~"):
        raise UserError(f"cannot read {override!r}: write key=value, e.g. instruction=simplified or seed=1")
    return found["sign"] or "", found["key"], found["value"] or ""


def for_hydra(override: str) -> str:
    """Write an override as Hydra takes it.

    Numbers and truth values that name a choice of a group are quoted (Hydra refuses `data_budget=8` as a number);
    keys of the user's own (`tasks.columns.input`) are marked as new.
    """
    sign, key, value = split(override)
    if sign == "~":
        return override
    if any(key == free or key.startswith(f"{free}.") for free in free_keys()):
        return f"{sign or '++'}{key}={value}"
    if key.partition("@")[0] not in groups():
        return override
    parts = [f"'{part.strip()}'" if _NUMBER.match(part) else part for part in value.split(",")]
    return f"{sign}{key}={','.join(parts)}"


def check(overrides: Iterable[str]) -> None:
    """Refuse misspelt groups and keys; all of them are told at once."""
    faults = []
    for override in overrides:
        try:
            _, key, _ = split(override)
            if not key.startswith(("hydra.", "hydra/", "hydra@")):
                check_key(key.partition("@")[0])
        except UserError as fault:
            faults.append(str(fault))
    if len(faults) == 1:
        raise UserError(faults[0])
    if faults:
        raise UserErrors(faults)


def is_sweep(override: str) -> bool:
    """Tell whether an override names several values (`a,b`, `range(...)`, `choice(...)`, `glob(...)`)."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return bool(OverridesParser.create().parse_override(override).is_sweep_override())
    except HydraException as error:
        raise UserError(f"cannot read {override!r}: {' '.join(str(error).split())}") from error


def from_params(params: Mapping[str, Any]) -> list[str]:
    """Turn `hydra.sweeper.params` (values as text, numbers or lists) into overrides."""
    overrides = []
    for key, value in params.items():
        values: Sequence[Any] = value if isinstance(value, list | tuple) else [value]
        text = ",".join("null" if item is None else str(item) for item in values)
        overrides.append(for_hydra(f"{key}={text}"))
    return overrides
