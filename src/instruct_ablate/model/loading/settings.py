"""What the keys of `model` may be, and which of them a model's source reads."""

from __future__ import annotations

from pathlib import Path

from instruct_ablate.errors import UserError
from instruct_ablate.limits import any_value, check_limits, one_of, path, shown, text, whole
from instruct_ablate.model.loading.packed_models import LICENCES, check_licence
from instruct_ablate.schema import ModelConfig

KINDS = ("encoder-decoder", "decoder-only")
SOURCES = ("pretrained", "wheel", "random", "baseline")
LIMITS = {
    "name": text(),
    "path": path().or_null("for a model that brings its weights along"),
    "root": path().or_null(
        "to ask the hub"
    ),  # other sources may stand beside: a grid has one for all its models
    "source": one_of(SOURCES),
    "revision": text(200).or_null("for the newest"),
    "trust_remote_code": any_value(),
    "kind": one_of(KINDS).or_null("to find it out"),
    "tuned": any_value(),
    "end_of_source": any_value(),
    "accept_licence": one_of(LICENCES).or_null("to accept none"),
    "tries": whole(1, 1_000_000),
}


def check_model(config: ModelConfig) -> None:
    """Refuse values that no model has, and a place that this model would not be loaded from."""
    check_limits("model", config, LIMITS)
    if config.source == "wheel":
        check_licence(config.name, config.accept_licence)
    if config.tries != 1 and config.source != "baseline":
        raise UserError(
            f"model.tries={config.tries} is of model=uniform_guess, whose tables show the best of so many guesses: "
            f"model={config.name} answers once. Leave it out, and give the guess a command of its own."
        )
    if config.source == "pretrained":
        return
    for key in ("path", "revision"):
        if (value := vars(config)[key]) is not None:
            raise UserError(
                f"model.{key}={shown(value)} would be ignored: model={config.name} is not loaded from there. "
                "Write model=FOLDER (or a hub id), which is short for model=pretrained model.path=FOLDER."
            )


def check_revision(config: ModelConfig, folder: Path) -> None:
    """Refuse a revision of a local folder: nothing would read it, and the results would seem to be that one's."""
    if config.revision is not None:
        asked = "" if config.root is None else f" below model.root={config.root}"
        raise UserError(
            f"model.revision={config.revision} would be ignored: model.path={config.path}{asked} is the local folder "
            f"{folder}, which has no revisions. Leave model.revision out if the folder holds that one; a hub id that "
            "is no folder here, without model.root, is loaded at its revision."
        )
