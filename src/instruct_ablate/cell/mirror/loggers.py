"""The mirror: a cell's curves and scores at W&B or another logger, beside the record, which is the truth.

Whatever a logging service does - no key, no network, an error in the middle - the cell goes on; it is told in the log.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from instruct_ablate.cell.mirror.score_keys import block_scores, flat_scores
from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.errors import with_kind

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

log = logging.getLogger(__name__)
LOST = "has lost"  # in the notes of a cell whose logger failed


class Mirror(Protocol):
    """Where a running cell is mirrored."""

    def loggers(self) -> list[Logger]:
        """Return Lightning loggers for the training curve."""

    def finish(self, record: CellRecord) -> None:
        """Tell the end: state, scores, tables."""


class Silent:
    """Mirrors nowhere."""

    def loggers(self) -> list[Logger]:
        """No loggers."""
        return []

    def finish(self, record: CellRecord) -> None:
        """Nothing to tell."""


class Plain:
    """Mirrors to one of Lightning's own loggers: CSV, TensorBoard or MLflow."""

    def __init__(self, logger: Logger, identity: Identity) -> None:
        self.logger = logger
        setting = {key: identity.setting.text(key) for key in identity.setting.keys}
        logger.log_hyperparams({**setting, "seed": str(identity.seed), "identity": identity.hash})

    def loggers(self) -> list[Logger]:
        """The one logger."""
        return [self.logger]

    def finish(self, record: CellRecord) -> None:
        """Log the scores and close with the record's state."""
        if record.state == "done":
            self.logger.log_metrics(
                {**block_scores(record), **flat_scores(record)}, step=record.cost.train_steps
            )
        self.logger.save()
        self.logger.finalize("success" if record.state == "done" else "failed")


@contextlib.contextmanager
def guarded(what: str, lost: list[str] | None = None) -> Iterator[None]:
    """Let nothing that a logging service does end a cell; what it lost is said, and added to `lost`."""
    try:
        yield
    except Exception as error:
        # any failure of a mirror is only worth a line: the record on disk is complete without it
        why = with_kind(error).partition("\n")[0][:300]
        if lost is not None:
            lost.append(f"{what} {LOST} this cell ({why})")
        log.warning("%s: %s; the record on disk is complete without it", what, why)
