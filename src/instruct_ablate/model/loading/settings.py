"""What the keys of `model` may be, and which of them a model's source reads."""

from __future__ import annotations

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
    if config.source == "pretrained":
        return
    for key in ("path", "revision"):
        if (value := vars(config)[key]) is not None:
            raise UserError(
                f"model.{key}={shown(value)} would be ignored: model={config.name} is not loaded from there. "
                "Write model=FOLDER (or a hub id), which is short for model=pretrained model.path=FOLDER."
            )
