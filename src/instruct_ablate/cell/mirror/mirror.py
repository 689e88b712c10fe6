"""The mirror that `logger=` names, opened: the one place where a cell's loggers are made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.cell.mirror.loggers import Mirror, Plain, Silent, guarded
from instruct_ablate.cell.mirror.settings import check_logger
from instruct_ablate.cell.mirror.wandb_run import WandbRun
from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.schema import Config

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger


def open_mirror(config: Config, identity: Identity, folder: Path) -> Mirror:
    """Open the mirror that `logger` names; one that cannot be opened is told and done without."""
    check_logger(config.logger)
    openers: dict[str, Callable[[], Mirror]] = {
        "wandb": lambda: WandbRun(config, identity, folder),
        "csv": lambda: Plain(_csv(folder), identity),
        "tensorboard": lambda: Plain(_tensorboard(folder), identity),
        "mlflow": lambda: Plain(_mlflow(config, identity), identity),
    }
    if config.logger.name != "none":
        with guarded(f"logger {config.logger.name}"):
            return openers[config.logger.name]()
    return Silent()


def _csv(folder: Path) -> Logger:
    from pytorch_lightning.loggers import CSVLogger

    return CSVLogger(folder, name="csv", version="")


def _tensorboard(folder: Path) -> Logger:
    from pytorch_lightning.loggers import TensorBoardLogger

    return TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False)


def _mlflow(config: Config, identity: Identity) -> Logger:
    from pytorch_lightning.loggers import MLFlowLogger

    store: Any = (Path(config.output) / "mlflow.db").resolve()
    return MLFlowLogger(
        experiment_name=config.study, run_name=identity.name, tracking_uri=f"sqlite:///{store}"
    )
