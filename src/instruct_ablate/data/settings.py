"""What the keys of `data` may be, and of `trainer` those that batches are made by."""

from __future__ import annotations

from instruct_ablate.limits import any_value, check_limits, number, one_of, whole
from instruct_ablate.schema import DataConfig, TrainerConfig

GROUPINGS = ("none", "task")
LIMITS = {
    "grouping": one_of(GROUPINGS),
    "group_size": whole(1),
    "packing": any_value(),
    "num_workers": whole(0, 128),
}
BATCHES = {
    "batch_size": whole(1),
    "epochs": number(0, 1_000_000, above=True, hint=" (data_budget=0 is the untuned model)"),
    "max_steps": whole(1).or_null("for as many as the epochs make"),
    "micro_batch_tokens": whole(1),
}


def check_data(config: DataConfig) -> None:
    """Refuse a grouping that is not there, and numbers that make no batch."""
    check_limits("data", config, LIMITS)


def check_batches(config: TrainerConfig) -> None:
    """Refuse sizes and lengths of training that make no step."""
    check_limits("trainer", config, BATCHES)
