"""A cell of a grid, before and while it is launched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.grid.composing.expansion import Overrides
from instruct_ablate.schema import Config


@dataclass(frozen=True)
class Cell:
    """One distinct cell of the grid: how it was asked for first, and who it is."""

    overrides: Overrides
    config: Config
    identity: Identity

    @property
    def folder(self) -> Path:
        """Where its record lies."""
        return study_folder(self.config) / self.identity.name


def study_folder(config: Config) -> Path:
    """Return the folder of a study."""
    return Path(config.output) / config.study
