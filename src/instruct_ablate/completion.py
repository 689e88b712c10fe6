"""What a shell completes of overrides: keys and groups with `=`, then the choices that a group offers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from instruct_ablate.configuration.composition import groups, keys
from instruct_ablate.configuration.folders import FURTHER, config_directory, own_directories

LAUNCHER = "hydra/launcher"
INSTALLED = {LAUNCHER: ("basic",)}  # choices that come with Hydra


def complete_override(ctx: click.Context, option: click.Parameter, incomplete: str) -> list[str]:
    """Complete an override; bash takes `=` for a word of its own, so the key may stand before it."""
    before: Sequence[str] = ctx.params.get(option.name or "") or ()
    if not incomplete and before and before[-1] in offered_groups():  # click hands over `=` as nothing
        return choices(before[-1])
    if before[-1:] == ("=",) and len(before) > 1:
        return [one for one in choices(before[-2]) if one.startswith(incomplete)]
    key, equals, value = incomplete.partition("=")
    if equals:
        return [f"{key}={one}" for one in choices(key) if one.startswith(value)]
    return [f"{one}=" for one in dict.fromkeys((*offered_groups(), *keys())) if one.startswith(key)]


def offered_groups() -> tuple[str, ...]:
    """Name the groups that a grid chooses from: those of a cell, and where cells run."""
    return (*groups(), LAUNCHER)


def choices(group: str) -> list[str]:
    """Name what a group offers, choices in the user's own `conf/` too; nothing for a value."""
    if group not in offered_groups():
        return []
    files = (
        path
        for folder in (config_directory(), *own_directories())
        for path in (folder / group).glob("*.yaml")
    )
    return sorted({*INSTALLED.get(group, ()), *(path.stem for path in files)})


def _search_too(ctx: click.Context, option: click.Parameter, folder: Path | None) -> None:
    """Search a folder of config groups while the command runs."""
    if folder is not None:
        FURTHER.append(folder.resolve())
        ctx.call_on_close(FURTHER.pop)


config_dir = click.option(
    "--config-dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    callback=_search_too,
    expose_value=False,
    is_eager=True,
    help="A folder of yours with config groups, as of train; conf/ here is searched anyway.",
)
