"""What the keys of `data` may be, and of `trainer` those that batches are made by."""

from __future__ import annotations

from instruct_ablate.errors import UserError
from instruct_ablate.instruction.encodings import ENCODINGS
from instruct_ablate.limits import any_value, check_limits, exactly, number, one_of, whole
from instruct_ablate.prompt.template_set import DRAWN, trained_under
from instruct_ablate.schema import DataConfig, PromptConfig, TrainerConfig

GROUPINGS = ("none", "task", "prefix")
REFERENCES = ("one", "every_epoch")
LIMITS = {
    "grouping": one_of(GROUPINGS),
    "group_size": whole(1),
    "packing": any_value(),
    "encodings": one_of(ENCODINGS),
    "references": one_of(REFERENCES),
    "altered_share": number(0, 1, above=True, hint=" (none at all is instruction=original)"),
    "num_workers": whole(0, 128),
}
BATCHES = {
    "batch_size": whole(1),
    "epochs": number(0, 1_000_000, above=True, hint=" (data_budget=0 is the untuned model)"),
    "max_steps": whole(1).or_null("for as many as the epochs make"),
    "micro_batch_tokens": whole(1),
}


def unshared(packing: bool, encoder_decoder: bool) -> str:
    """Say why examples that begin alike share nothing; empty where they do."""
    if encoder_decoder:
        return "an encoder looks both ways, so that prompts that begin alike share nothing in it"
    return "" if packing else "data.packing=false lays each sequence by itself, so that none share anything"


def check_data(config: DataConfig) -> None:
    """Refuse a grouping that is not there, and numbers that make no batch."""
    check_limits("data", config, LIMITS)
    if config.grouping == "task" and config.encodings != "one":
        raise UserError(
            f"data.grouping=task shares a task's prompt among its instances, and data.encodings={config.encodings} "
            "draws another one for each: choose one of the two."
        )
    if config.grouping == "task" and config.altered_share < 1:
        raise UserError(
            f"data.grouping=task shares a task's prompt among its instances, and data.altered_share="
            f"{exactly(config.altered_share)} shows two of them: choose one of the two."
        )
    if config.grouping == "prefix" and not config.packing:
        raise UserError(
            "data.grouping=prefix computes once how packed sequences begin alike, and data.packing=false lays each one "
            "by itself: choose one of the two."
        )


def check_encodings(config: DataConfig, prompt: PromptConfig) -> None:
    """Refuse Tk-Instruct's encodings with another template than theirs, and groups of one prompt with drawn ones."""
    if config.grouping == "task" and prompt.training_template == DRAWN:
        raise UserError(
            "data.grouping=task shares a task's prompt among its instances, and prompt.training_template=drawn draws a "
            "template for each: choose one of the two."
        )
    if config.encodings != "one" and [one.template for one in trained_under(prompt)] != ["tk_instruct"]:
        raise UserError(
            f"data.encodings={config.encodings} is of Tk-Instruct's template: give prompt=tk_instruct, not "
            f"{prompt.template}."
        )


def check_batches(config: TrainerConfig) -> None:
    """Refuse sizes and lengths of training that make no step."""
    check_limits("trainer", config, BATCHES)
