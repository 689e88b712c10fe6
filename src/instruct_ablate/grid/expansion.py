"""The declared grid: sweeps and grids of an experiment expanded to one list of overrides per cell."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from instruct_ablate.grid.overrides import from_params, split

Overrides = tuple[str, ...]


@dataclass(frozen=True)
class Declared:
    """What an experiment file declares: one grid (`params`), further ones (`grids`)."""

    params: Mapping[str, Any]
    grids: Sequence[Mapping[str, Any]]


def expand(
    declared: Declared, arguments: Sequence[str], is_baseline: Callable[[str], bool], loader: Any = None
) -> list[Overrides]:
    """Expand the grids, the command line's `arguments` taking the place of a grid's own values.

    A grid of baselines keeps its `model`: sweeping another model over it would lose the baselines.
    """
    grids = declared.grids or [{}]
    cells: dict[Overrides, None] = {}
    for grid in grids:
        lines = _keyed(from_params({**declared.params, **grid}))
        fixed = {"model"} if _all_baselines(lines.get("model"), is_baseline) else set()
        given = {key: line for key, line in _keyed(arguments).items() if key not in fixed}
        for cell in _product(list({**lines, **given}.values()), loader):
            cells.setdefault(cell)
    return list(cells)


def _keyed(overrides: Sequence[str]) -> dict[str, str]:
    return {split(override)[1]: override for override in overrides}


def _all_baselines(line: str | None, is_baseline: Callable[[str], bool]) -> bool:
    return line is not None and all(is_baseline(choice.strip()) for choice in split(line)[2].split(","))


def _product(overrides: Sequence[str], loader: Any) -> list[Overrides]:
    """Expand the overrides that name several values, the last one fastest."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
    choices: list[list[str]] = []
    for override in parsed:
        if not override.is_discrete_sweep():
            choices.append([str(override.input_line)])
            continue
        key = override.get_key_element()
        choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
    return list(itertools.product(*choices))
