"""What the keys of `logger` may be: loggers that are there, and names that W&B takes."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

from instruct_ablate.errors import UserError
from instruct_ablate.limits import Limit, check_limits, number, one_of, shown, text_fault, texts, whole
from instruct_ablate.schema import LoggerConfig

LOGGERS = ("wandb", "csv", "tensorboard", "mlflow", "none")
MODES = ("auto", "online", "offline")
PACKAGES = {"tensorboard": "tensorboard", "mlflow": "mlflow"}
PROJECT, TAG = 128, 64  # characters, as W&B's client has it
_RESERVED = re.compile(r"[/\\#?%:]")


def _project() -> Limit:
    def fault(key: str, value: Any) -> str | None:
        if (why := text_fault(value, PROJECT)) is not None:
            return f"{key}={shown(value)} {why}"
        if found := _RESERVED.search(value):
            entity = " (the team is logger.entity)" if found[0] == "/" else ""
            return f"{key}={shown(value)}: W&B allows none of / \\ # ? % : in a name{entity}"
        return None

    return Limit(fault)


LIMITS = {
    "name": one_of(LOGGERS),
    "project": _project(),
    "entity": _project().or_null("for your own"),
    "mode": one_of(MODES),
    "tags": texts(TAG),
    "timeout": number(0, 86400),
    "predictions": whole(0, 100_000),
}


def check_logger(config: LoggerConfig) -> None:
    """Refuse a logger that is not there, whose package is not installed, or names that it would not take."""
    check_limits("logger", config, LIMITS)
    needs = PACKAGES.get(config.name)
    if needs and importlib.util.find_spec(needs) is None:
        raise UserError(
            f"logger={config.name} needs the package {needs}: pip install 'instruct-ablate[{needs}]'."
        )


def mirrored_name(name: str, tail: str = "") -> str:
    """Return a study's name as W&B takes it for a group: any letters, at most so many, `tail` among them."""
    return f"{name[: PROJECT - len(tail)]}{tail}"
