"""The cell record: what one cell was, what became of it and what it scored; the truth on disk.

Import nothing of the model side here: a report reads records on machines without a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from instruct_ablate.cost import Cost
from instruct_ablate.metrics import Scores

FORMAT = 1
IMPORTED = "imported"  # the method, prompt and decoding of cells whose predictions were made elsewhere
State = Literal["missing", "running", "interrupted", "failed", "done"]


@dataclass(frozen=True, slots=True)
class Axes:
    """Where a cell stands in its grid: what tables are grouped by, in readable names."""

    tasks: str
    instruction: str  # label of the training variant: original, simplified, delusive, empty+original, ...
    num_positive: int
    data_budget: int  # instances per training task; 0: untuned
    budget_tasks: int | None
    model: str
    method: str
    prompt: str
    decoding: str
    seed: int

    @property
    def untuned(self) -> bool:
        """Whether nothing was trained."""
        return self.data_budget == 0


@dataclass(frozen=True, slots=True)
class Environment:
    """What a cell ran with."""

    host: str
    command: str
    commit: str | None
    python: str
    versions: tuple[tuple[str, str], ...]  # package, version
    device: str
    precision: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a cell failed."""

    reason: str
    traceback: str
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class ScoreBlock:
    """The scores under one test-time instruction; its predictions lie beside the record."""

    instruction: str  # label of the test variant
    predictions: str  # file name, relative to the cell's folder
    scores: Scores


@dataclass(frozen=True, slots=True)
class CellRecord:
    """One cell: identity, axes, state, scores and cost."""

    identity: str  # sha256, hex
    name: str  # folder name: readable part and short hash
    axes: Axes
    state: State
    blocks: tuple[ScoreBlock, ...] = ()
    cost: Cost = field(default_factory=Cost)
    environment: Environment | None = None
    failure: Failure | None = None
    notes: tuple[str, ...] = ()  # what was met on the way: truncated prompts, short tasks, ...
    data_hash: str = ""
    started: float = 0.0  # seconds since the epoch
    finished: float = 0.0
    format: int = FORMAT
