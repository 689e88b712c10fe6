"""The mirror that `logger=` names, opened: the one place where a cell's loggers are made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from instruct_ablate.cell.mirror.loggers import Mirror, Plain, Silent, guarded
from instruct_ablate.cell.mirror.settings import check_logger
from instruct_ablate.cell.mirror.wandb_run import WandbRun
from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.schema import Config
from instruct_ablate.whole_files import shared_lock

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger


def open_mirror(config: Config, identity: Identity, folder: Path, lost: list[str] | None = None) -> Mirror:
    """Open the mirror that `logger` names; one that cannot be opened is told, also in `lost`, and done without."""
    check_logger(config.logger)
    openers: dict[str, Callable[[], Mirror]] = {
        "wandb": lambda: WandbRun(config, identity, folder),
        "csv": lambda: Plain(_csv(folder), identity),
        "tensorboard": lambda: Plain(_tensorboard(folder), identity),
        "mlflow": lambda: Plain(_mlflow(config, identity), identity),
    }
    if config.logger.name != "none":
        with guarded(f"logger {config.logger.name}", lost):
            return openers[config.logger.name]()
    return Silent()


def _csv(folder: Path) -> Logger:
    from pytorch_lightning.loggers import CSVLogger

    return CSVLogger(folder, name="csv", version="")


def _tensorboard(folder: Path) -> Logger:
    from pytorch_lightning.loggers import TensorBoardLogger

    return TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False)


def _mlflow(config: Config, identity: Identity) -> Logger:
    """Open a run in the output folder's store, which the first cell makes while the others wait.

    MLflow itself makes it table by table, and two that do so at once leave a broken one.
    """
    from pytorch_lightning.loggers import MLFlowLogger

    store = (Path(config.output) / "mlflow.db").resolve()
    uri = f"sqlite:///{store}"
    with shared_lock(store.with_name(".mlflow.lock")):
        _make_experiment(uri, config.study)
    return MLFlowLogger(experiment_name=config.study, run_name=identity.name, tracking_uri=uri)


def _make_experiment(uri: str, name: str) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    if client.get_experiment_by_name(name) is None:
        client.create_experiment(name)
