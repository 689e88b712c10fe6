"""The mirror that `logger=` names, opened: the one place where a cell's loggers are made."""

from __future__ import annotations

import csv
import hashlib
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.cell.mirror.loggers import Mirror, Plain, Silent, guarded
from instruct_ablate.cell.mirror.settings import check_logger
from instruct_ablate.cell.mirror.wandb_run import WandbRun
from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.disk.learning_curve import LOGGED
from instruct_ablate.disk.score_curve import LOGGED as CURVE
from instruct_ablate.disk.whole_files import shared_lock
from instruct_ablate.schema import Config

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

TRAINING = (LOGGED, CURVE)  # how the names of values begin that training logs
# What Lightning's logger leaves out of a name that it gives MLflow: a run's values are asked for by what is left.
_STRANGE = re.compile(r"[^a-zA-Z0-9_/. -]")


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
    """Open the cell's file; Lightning's logger removes the one that is there, and a resumed cell goes on in it."""
    from pytorch_lightning.loggers import CSVLogger

    before = csv_rows(folder / "csv" / "metrics.csv")

    class Going(CSVLogger):
        def log_metrics(self, metrics: Any, step: int | None = None) -> None:
            # What is trained from here on is logged anew; scores alone stand beside what was trained.
            trains = any(name.startswith(TRAINING) for name in metrics)
            new = None if trains else metrics.keys()
            self._put_back([row for row in before if _stays(row, step or 0, new)])
            super().log_metrics(metrics, step)

        def finalize(self, status: str) -> None:
            self._put_back(before)
            super().finalize(status)

        def _put_back(self, rows: list[dict[str, Any]]) -> None:
            self.experiment.metrics.extend(rows)
            before.clear()

    logger = Going(folder, name="csv", version="")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that rows are lost, which they are not
        _ = logger.experiment
    return logger


def _stays(row: Mapping[str, Any], step: int, scores: Collection[str] | None) -> bool:
    """Whether an earlier row is not taken anew by what is logged at `step`: further training, or scores at its end."""
    return row["step"] < step or (scores is not None and not row.keys() & scores)


def csv_rows(file: Path) -> list[dict[str, Any]]:
    """Read the rows of an earlier try, each with the columns that it has, in the order of their steps."""
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as opened:
        every = [{name: value for name, value in row.items() if value} for row in csv.DictReader(opened)]
    rows = [{**row, "step": step} for row in every if (step := _step(row.get("step", ""))) is not None]
    return sorted(rows, key=lambda row: row["step"])


def _step(text: str) -> int | None:
    """Read a step, which loggers may have written as 5 or as 5.0; None for what is none."""
    try:
        step = float(text)
    except ValueError:
        return None
    return int(step) if step.is_integer() else None


def _tensorboard(folder: Path) -> Logger:
    """Open the cell's events; of an earlier try's, those that a resumed cell takes again are marked as overtaken."""
    from pytorch_lightning.loggers import TensorBoardLogger
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog

    resumed = any((folder / "tensorboard").glob("events.out.*"))

    class Going(TensorBoardLogger):
        _overtaken = not resumed

        def log_metrics(self, metrics: Any, step: int | None = None) -> None:
            trains = any(name.startswith(TRAINING) for name in metrics)
            if step is not None and trains and not self._overtaken:
                # TensorBoard leaves out what stands before this mark and is of its step or a later one.
                mark = Event(step=step, session_log=SessionLog(status=SessionLog.START))
                self.experiment.file_writer.add_event(mark)
                self._overtaken = True
            super().log_metrics(metrics, step)

    return Going(folder, name="tensorboard", version="", default_hp_metric=False)


class MlflowNames:
    """A run's names as MLflow takes them; of those that lose what tells them apart, the later ones have a hash.

    Values of one name are one curve there, of which the last one stands for both.
    """

    def __init__(self) -> None:
        self._whole: dict[str, str] = {}

    def of(self, name: str) -> str:
        """Return what a value is logged as; a cell that goes on asks in the same order, and finds the same."""
        short = _STRANGE.sub("", name)
        if self._whole.setdefault(short, name) == name:
            return short
        return f"{short}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def _mlflow(config: Config, identity: Identity) -> Logger:
    """Open a run in the output folder's store, which the first cell makes while the others wait.

    MLflow itself makes it table by table, and two that do so at once leave a broken one.
    """
    from pytorch_lightning.loggers import MLFlowLogger

    store = (Path(config.output) / "mlflow.db").resolve()
    uri = f"sqlite:///{store}"
    with shared_lock(store.with_name(".mlflow.lock")):
        before = _earlier_run(uri, config.study, identity.hash)

    @cache
    def logged(name: str) -> frozenset[int]:
        return _logged_steps(uri, before, name)

    names = MlflowNames()

    class Going(MLFlowLogger):
        def log_metrics(self, metrics: Any, step: int | None = None) -> None:
            # MLflow takes back nothing: what an earlier try has logged of the training is not told again.
            named = {names.of(name): value for name, value in metrics.items()}
            new = {
                name: value
                for name, value in named.items()
                if not (name.startswith(TRAINING) and step in logged(name))
            }
            if new:
                super().log_metrics(new, step)

    return Going(experiment_name=config.study, run_name=identity.name, tracking_uri=uri, run_id=before)


def _logged_steps(uri: str, run: str | None, name: str) -> frozenset[int]:
    """Return the steps at which a run has a value of this name; none of a run that begins."""
    from mlflow.tracking import MlflowClient

    if run is None:
        return frozenset()
    return frozenset(point.step for point in MlflowClient(tracking_uri=uri).get_metric_history(run, name))


def _earlier_run(uri: str, name: str, identity: str) -> str | None:
    """Return the run of a cell that goes on, in an experiment that is made if there is none; None: it begins."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    if (there := client.get_experiment_by_name(name)) is None:
        client.create_experiment(name)
        return None
    found = client.search_runs([there.experiment_id], f"params.identity = '{identity}'", max_results=1)
    return found[0].info.run_id if found else None
