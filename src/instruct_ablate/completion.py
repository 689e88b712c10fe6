"""What a shell completes of overrides: keys and groups with `=`, then the choices that a group offers."""

from __future__ import annotations

from collections.abc import Sequence

import click

from instruct_ablate.composition import groups, keys
from instruct_ablate.schema import config_directory


def complete_override(ctx: click.Context, option: click.Parameter, incomplete: str) -> list[str]:
    """Complete an override; bash takes `=` for a word of its own, so the key may stand before it."""
    before: Sequence[str] = ctx.params.get(option.name or "") or ()
    if not incomplete and before and before[-1] in groups():  # click hands over `=` as nothing
        return choices(before[-1])
    if before[-1:] == ("=",) and len(before) > 1:
        return [one for one in choices(before[-2]) if one.startswith(incomplete)]
    key, equals, value = incomplete.partition("=")
    if equals:
        return [f"{key}={one}" for one in choices(key) if one.startswith(value)]
    return [f"{one}=" for one in dict.fromkeys((*groups(), *keys())) if one.startswith(key)]


def choices(group: str) -> list[str]:
    """Name what a group offers; nothing for a value."""
    return (
        sorted(path.stem for path in (config_directory() / group).glob("*.yaml")) if group in groups() else []
    )
