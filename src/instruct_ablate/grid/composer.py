"""Cells composed fast: each distinct choice of a group is composed once by Hydra, then put together.

Choices that reach beyond their own group (an experiment, a file with `@package _global_`) are found by
comparing, and composed in full.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from instruct_ablate.composition import explain, groups
from instruct_ablate.errors import UserError, UserErrors, unknown
from instruct_ablate.grid.expansion import Overrides
from instruct_ablate.grid.overrides import split
from instruct_ablate.schema import Config, plain


@dataclass(frozen=True)
class Planned:
    """One cell asked for: its overrides and what they compose to."""

    overrides: Overrides
    config: Config


class Composer:
    """Composes the cells of one sweep, remembering what is shared."""

    def __init__(self, loader: Any, master: Any) -> None:
        self._loader, self._master = loader, master
        self._base: dict[Overrides, Any] = {}  # wide choices and plain values -> composed
        self._wide: dict[str, bool] = {}

    def compose(self, overrides: Overrides) -> Config:
        """Compose one cell; a fault comes out as `UserError`."""
        try:
            return plain(self._assemble(overrides))
        except Exception as error:
            if (fault := explain(error)) is not None:
                raise fault from error
            raise

    def is_baseline(self, model: str) -> bool:
        """Whether a choice of the group `model` is a baseline."""
        if model.strip("'\"") not in self.options("model"):
            return False
        return self.compose((f"model={model}",)).model.source == "baseline"

    def options(self, group: str) -> list[str]:
        """Name the choices of a group."""
        return list(self._loader.get_group_options(group))

    def _assemble(self, overrides: Overrides) -> Any:
        choices = [line for line in overrides if _group(line)]
        values = [line for line in overrides if not _group(line)]
        wide = tuple(line for line in choices if self._reaches_out(line))
        # Swept values differ from cell to cell; they are set below, Hydra's own rules for them unchanged.
        narrow = [line for line in choices if line not in wide]
        config = copy.deepcopy(self._full(wide))
        for line in narrow:
            group = _group(line)
            config[group] = self._full((*wide, line))[group]
        return self._set_values(config, values)

    def _full(self, overrides: Overrides) -> Any:
        if overrides not in self._base:
            self._base[overrides] = self._loader.load_sweep_config(self._master, list(overrides))
        return self._base[overrides]

    def _reaches_out(self, line: str) -> bool:
        """Whether a choice changes more than its own group's part of the configuration."""
        if line not in self._wide:
            group, base, chosen = _group(line), self._full(()), self._full((line,))
            fields = Config.__dataclass_fields__
            self._wide[line] = group == "experiment" or any(
                base._get_node(name) != chosen._get_node(name) for name in fields if name != group
            )
        return self._wide[line]

    def _set_values(self, config: Any, values: Sequence[str]) -> Any:
        from hydra.core.override_parser.overrides_parser import OverridesParser
        from omegaconf import OmegaConf

        plain_values = [line for line in values if not line.startswith(("+", "~", "hydra."))]
        if len(plain_values) != len([line for line in values if not line.startswith("hydra.")]):
            raise UserError("overrides with + or ~ are not needed here: every key exists; write key=value")
        for override in OverridesParser.create().parse_overrides(list(plain_values)):
            OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
        return config


def _group(line: str) -> str:
    """Name the group that an override chooses from; empty for a value."""
    sign, key, _ = split(line)
    name = key.partition("@")[0]
    return name if name in groups() and sign != "~" else ""


def check_choices(composer: Composer, cells: Sequence[Overrides]) -> None:
    """Refuse choices that no group offers, all of them at once."""
    asked = {(_group(line), split(line)[2].strip("'\"")) for cell in cells for line in cell if _group(line)}
    faults = []
    for group, choice in sorted(asked):
        allowed = composer.options(group)
        if choice not in allowed and choice not in ("null", ""):
            faults.append(str(unknown(f"choice for {group}:", choice, allowed)))
    if len(faults) == 1:
        raise UserError(faults[0])
    if faults:
        raise UserErrors(faults)
