"""The declared grid: sweeps and grids of an experiment expanded to one list of overrides per cell."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from instruct_ablate.errors import UserError
from instruct_ablate.grid.composing.overrides import for_hydra, from_params, long_form, split

Overrides = tuple[str, ...]
MOST = 100_000  # cells of one command


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
    choices = [_values(override) for override in parsed]
    if math.prod(map(len, choices)) > MOST:
        raise UserError(f"more than {MOST} cells are asked for; give fewer values, or several studies")
    return [tuple(line for lines in cell for line in lines) for cell in itertools.product(*choices)]


def _values(override: Any) -> list[list[str]]:
    """Return the lines of each value that an override names."""
    if not override.is_sweep_override():
        return [[str(override.input_line)]]
    if not override.is_discrete_sweep():
        raise UserError(
            f"{override.input_line}: give values, as a,b or range(1,4); an interval cannot be counted"
        )
    # Not `>`: a range from or to nan has a length of nan, which is not above anything.
    if override.is_range_sweep() and not _length(override.value()) <= MOST:
        raise UserError(f"{override.input_line} names more than {MOST} values, or no end of them")
    key = override.get_key_element()
    values = list(override.sweep_string_iterator())
    if not values:
        raise UserError(f"{override.input_line} names no value at all")
    return [[for_hydra(line) for line in long_form(f"{key}={value}")] for value in values]


def _length(span: Any) -> float:
    """Return about how many numbers a range has, without counting them."""
    try:
        return float(abs((span.stop - span.start) / span.step))
    except ZeroDivisionError:
        return math.inf
