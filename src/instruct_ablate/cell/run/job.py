"""What a cell's runner hands to the stages of a cell, and what they give back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from instruct_ablate.cell.mirror.loggers import Mirror, Silent
from instruct_ablate.cell.state.heartbeat import Heartbeat
from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.cell.state.record.record import Drawn, Environment, ScoreBlock, Selected
from instruct_ablate.cost import Cost
from instruct_ablate.schema import Config


@dataclass(frozen=True, slots=True)
class Job:
    """What the stages of a cell need to know."""

    config: Config  # effective: what cannot matter is at its default
    identity: Identity
    folder: Path
    heartbeat: Heartbeat
    mirror: Mirror = field(default_factory=Silent)
    leads: bool = True  # False: trains along with the process that keeps the record, and does no more


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a cell's stages give."""

    blocks: tuple[ScoreBlock, ...]
    cost: Cost
    environment: Environment
    notes: tuple[str, ...] = ()
    selected: Selected | None = None
    general: ScoreBlock | None = None
    drawn: Drawn | None = None


Work = Callable[[Job], Outcome]
