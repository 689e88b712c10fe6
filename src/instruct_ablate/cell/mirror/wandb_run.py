"""One cell's W&B run: its id is made from the cell's identity, so a resumed or repeated cell continues its run."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import itertools
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from instruct_ablate.cell.mirror.loggers import guarded
from instruct_ablate.cell.mirror.score_keys import block_scores, flat_scores, main_scores, measures
from instruct_ablate.cell.mirror.settings import mirrored_name
from instruct_ablate.cell.mirror.wandb_internals import SERVICE_PROCESS, leave_service, list_packages_once
from instruct_ablate.cell.state.environment import commit, versions
from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.cell.state.record.predictions import read_predictions
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.legend import COLUMNS, is_default
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.cell.state.setting.trained_on import trained_on
from instruct_ablate.cell.state.store import TRAINED
from instruct_ablate.disk.learning_curve import FILE as CURVE
from instruct_ablate.disk.learning_curve import LOGGED, read_curve
from instruct_ablate.disk.score_curve import LOGGED as POINT
from instruct_ablate.disk.whole_files import NOT_AS_WRITTEN, inside, read_plain, write_whole
from instruct_ablate.errors import in_a_line
from instruct_ablate.process.processes import command_line
from instruct_ablate.schema import Config, LoggerConfig

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

log = logging.getLogger(__name__)
INIT_SECONDS = 30.0
NOTED = "logged_steps"  # beside the runs' logs: up to which step earlier tries have told the run
OWN_SERVER = "WANDB_BASE_URL"  # the variable that names a server of one's own
FORMER_HOST = "api.wandb.ai"  # where `wandb login` kept its key before wandb 0.31
CURVES = ("loss", "learning_rate", "tokens_per_second")  # of a curve's row, those that a summary holds


def run_id(identity: str) -> str:
    """Return the W&B run id of a cell."""
    return identity[:16]


class WandbRun:
    """Mirrors a cell to W&B: curves while it trains, scores and a sample of predictions at its end."""

    def __init__(self, config: Config, identity: Identity, folder: Path) -> None:
        self.config, self.folder = config, folder
        settings = {"config": shown_config(config, identity), **_names(config, identity), "dir": folder}
        self.mode = resolved_mode(config.logger)
        self.before = logged_before(folder, identity)
        try:
            self.run = open_run(settings, self.mode, config.logger.timeout)
        except Exception as error:
            what = "cannot be reached" if self.mode == "online" else "would not begin"
            log.warning("W&B %s (%s): this cell is logged offline; sync it later", what, in_a_line(error))
            leave_service()
            self.run = open_run(settings, "offline", config.logger.timeout)
            self.mode = "failed"

    def loggers(self) -> list[Logger]:
        """Return Lightning's logger around this run, which is told no step twice."""
        from pytorch_lightning.loggers import WandbLogger

        before = self.before

        class Going(WandbLogger):
            def log_metrics(self, metrics: Any, step: int | None = None) -> None:
                if step is None or not _was_logged(metrics, step, before):
                    super().log_metrics(metrics, step)

        return [Going(experiment=self.run)]

    def finish(self, record: CellRecord) -> None:
        """Log scores and predictions; a failed cell is a failed run."""
        with guarded("W&B"):
            self._tell(record)
        self.run.finish(exit_code=0 if record.state == "done" else 1)
        if self.mode == "offline" and record.state == "done":
            SERVICE_PROCESS.is_good()

    def _tell(self, record: CellRecord) -> None:
        tell(self.run, self.folder, record, self.config.logger.predictions)
        trained = self.folder / TRAINED
        if record.state == "done" and self.config.keep_checkpoints and trained.is_file():
            log_model(self.run, record, trained)


def logged_before(folder: Path, identity: Identity) -> int:
    """Return the last step that earlier tries have logged to a cell's run; 0 where none has.

    A killed cell goes on from its last checkpoint and takes the steps behind it again, with the same values; the run
    goes on too, and W&B takes back nothing. The curve on disk forgets those steps, so that the number is noted.
    """
    if not any((folder / "wandb").glob(f"*run-*-{run_id(identity.hash)}")):
        return 0
    noted, last = folder / "wandb" / NOTED, 0
    with contextlib.suppress(OSError, *NOT_AS_WRITTEN):
        last = int(read_plain(noted))
    curve = next((row["step"] for row in read_curve(folder / CURVE, last=1)), 0)
    if curve > last:
        last = int(curve)
        write_whole(noted, str(last), durable=False)
    return last


def _was_logged(metrics: Mapping[str, Any], step: int, before: int) -> bool:
    """Whether an earlier try has logged a step's row, or the scores after a step beyond which it trained."""
    trained, scored = (any(name.startswith(part) for name in metrics) for part in (LOGGED, POINT))
    return (trained and step <= before) or (scored and step < before)


def tell(run: Any, folder: Path, record: CellRecord, predictions: int) -> None:
    """Tell a run how its cell stands: summary, and of a done one the tables, `predictions` rows of each test.

    A run that goes on at a server keeps what its summary had: the failure of an earlier try is taken back.
    """
    if not record.failure and run.summary.get("failure") is not None:
        del run.summary["failure"]
    run.summary.update(summary(folder, record))
    if record.state == "done":
        run.log({"scores": _scores(record), "predictions": _predictions(run, folder, record, predictions)})


def summary(folder: Path, record: CellRecord) -> dict[str, Any]:
    """Return all that a run's summary holds of its cell.

    Whatever goes on in a run tells it whole: `wandb sync` puts a log's summary in the place of the one that was there.
    """
    told: dict[str, Any] = {"state": record.state}
    if record.failure:
        told["failure"] = record.failure.reason
    for row in read_curve(folder / CURVE, last=1):
        told |= {f"{LOGGED}{name}": row[name] for name in CURVES if name in row}
    if record.state == "done":
        told |= {**main_scores(record), **block_scores(record), **flat_scores(record)}
        told |= {f"cost/{name}": value for name, value in dataclasses.asdict(record.cost).items()}
    return told


def _scores(record: CellRecord) -> Any:
    """Return every task's score as a table."""
    import wandb

    table = wandb.Table(columns=["tested on", "task", "category", "kind", "instances", "metric", "percent"])
    for block in record.every_block:
        for task in block.scores.tasks:
            place = (
                record.test_name(block),
                task.score.name,
                task.category,
                task.kind,
                task.score.instances,
            )
            for name, value in measures(task.score).items():
                table.add_data(*place, name, value)
    return table


def _predictions(run: Any, folder: Path, record: CellRecord, most: int) -> Any:
    """Return the first predictions of every score block as a table."""
    import wandb

    names = ["task", "instance_id", "prompt", "prediction", "references"]
    scored = list(dict.fromkeys(name for block in record.blocks for name, _ in block.scores.overall.values))
    columns = ["tested on", *names, *scored]
    if compares(run):  # the same instance of several runs side by side
        table = wandb.EvalTable(
            columns=columns,
            input_columns=["tested on", "task", "instance_id"],
            score_columns=scored,
        )
    else:
        table = wandb.Table(columns=columns)
    for block in record.every_block:
        rows = read_predictions(inside(folder, block.predictions))
        for row in itertools.islice(rows, most):
            values = [*(getattr(row, name) for name in names), *(row.get(name) for name in scored)]
            table.add_data(record.test_name(block), *(list(v) if isinstance(v, tuple) else v for v in values))
    return table


def compares(run: Any) -> bool:
    """Whether W&B's table for comparing evaluations can be had: it needs the package weave, and a server."""
    import wandb

    there = hasattr(wandb, "EvalTable") and importlib.util.find_spec("weave") is not None
    return there and not getattr(run, "offline", True)


def log_model(run: Any, record: CellRecord, weights: Path) -> None:
    """Log a cell's weights, a file or a folder, as its artifact; what is logged later is the next version."""
    import wandb

    told = {"cell": record.name, "identity": record.identity, "seed": record.seed}
    artifact = wandb.Artifact(f"model-{run_id(record.identity)}", type="model", metadata=told)
    (artifact.add_dir if weights.is_dir() else artifact.add_file)(str(weights))
    run.log_artifact(artifact)


def shown_config(config: Config, identity: Identity) -> dict[str, Any]:
    """Return a run's config: the cell's, and its setting under "axes", which is what runs are grouped by.

    W&B takes a dot for a level of its own, and a setting has `instruction` beside `instruction.num_positive`.
    """
    setting = identity.setting
    axes: dict[str, Any] = {key.replace(".", "/"): setting.text(key) for key in setting.keys}
    axes |= {"data_budget": setting.budget, "instruction": trained_on(setting), "seed": identity.seed}
    code = {"commit": commit(), "versions": dict(versions()), "command": command_line()}
    return {**dataclasses.asdict(config), "axes": axes, "code": code}


def open_run(settings: dict[str, Any], mode: str, timeout: float) -> Any:
    """Open a run that prints nothing and goes on where one of its id was left."""
    import wandb

    list_packages_once()
    # a service that another process keeps has a working directory of its own
    settings = {**settings, "dir": str(Path(settings["dir"]).resolve())}
    quiet = wandb.Settings(silent=True, console="off", init_timeout=INIT_SECONDS, finish_timeout=timeout)
    return wandb.init(mode=mode, resume="allow", settings=quiet, **settings)  # type: ignore[arg-type]


def _names(config: Config, identity: Identity) -> dict[str, Any]:
    return {
        "id": run_id(identity.hash),
        "name": identity.name,
        "project": config.logger.project,
        "entity": config.logger.entity,
        "group": mirrored_name(config.study),
        "job_type": job_type(identity.setting),
        "tags": [*config.logger.tags, *tags(identity.setting, identity.seed)],
    }


def job_type(setting: Setting) -> str:
    """Return what kind of cell it is: baseline, untuned or train."""
    if setting.baseline:
        return "baseline"
    return "untuned" if setting.untuned else "train"


def tags(setting: Setting, seed: int) -> list[str]:
    """Return what tells a setting as tags "name:value" (W&B cuts none up to 64 characters).

    The axes that most studies have are tags in any case, all else where it is not the schema's default.
    """
    own = [key for key in COLUMNS if key in setting]
    own += [key for key in setting.keys if key not in own and not is_default(key, setting.get(key))]
    values = {_TAGS.get(key, key): setting.text(key) for key in own if setting.get(key) is not None}
    return [f"{name}:{value}"[:64] for name, value in {**values, "seed": seed}.items()]


_TAGS = {
    "instruction.num_positive": "num_positive",
    "data_budget.tasks": "budget_tasks",
    "evaluation.decoding": "decoding",
}


def resolved_mode(config: LoggerConfig) -> str:
    """Return online or offline: without a key always offline, so that nobody is ever asked for one.

    `logger.mode` decides where it is set; `auto` follows WANDB_MODE.
    """
    asked = os.environ.get("WANDB_MODE", "online") if config.mode == "auto" else config.mode
    if asked in ("offline", "disabled", "dryrun"):
        return "offline"
    return "online" if has_key() else "offline"


def keyless(configs: Iterable[Config]) -> Iterator[str]:
    """Say that cells which ask for W&B online are logged offline, where there is no key."""
    online = any(config.logger.name == "wandb" and config.logger.mode == "online" for config in configs)
    if online and not has_key():
        yield (
            "logger.mode=online: there is no W&B key (WANDB_API_KEY, or `wandb login`), so runs are written offline; "
            "`instruct-ablate sync STUDY` uploads them once there is one"
        )


def has_key() -> bool:
    """Whether there is a W&B key: in the environment, or in the user's netrc."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    import netrc

    try:
        found = netrc.netrc(Path(own).expanduser() if (own := os.environ.get("NETRC")) else None)
    except (OSError, netrc.NetrcParseError):
        return False
    if FORMER_HOST in found.hosts and not os.environ.get(OWN_SERVER):
        return True  # W&B takes it for its server of today, too
    return bool(found.hosts) and urlsplit(server_address()).netloc in found.hosts


def server_address() -> str:
    """Return the address of W&B's server, or of the user's own; the first is what the installed version takes."""
    if own := os.environ.get(OWN_SERVER):
        return own
    import wandb

    return str(wandb.Settings().base_url)
