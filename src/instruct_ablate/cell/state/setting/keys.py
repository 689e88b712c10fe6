"""Keys of a setting: what a kind of cell reads of them, and at which values they are left out of the hash."""

from __future__ import annotations

from typing import Any

from instruct_ablate.tasks.sampling.order import USUAL_ORDER

IMPORTED = "imported"  # the method of cells whose predictions were made elsewhere


GENERAL = "evaluation.general"


ORDER = "tasks.order"  # no key of the configuration: of the data, as they are read (tasks/sampling/order.py)


# Keys of the configuration that tables know by the name of their group.
GROUPS = {
    "data_budget.instances_per_task": "data_budget",
    "method.name": "method",
    "prompt.template": "prompt",
}


# What a setting does not have, because the cell reads nothing of it; what begins so, but for the exceptions.
TRAINING = (
    "data_budget.", "method", "instruction.rate", "instruction.correct", "instruction.versions", "data.", "trainer.",
    "prompt.training_template", "tasks.validation", "tasks.weights", "tasks.leave_out", ORDER, "evaluation.at",
    "evaluation.every_",
)  # fmt: skip


INFERENCE = ("trainer.precision", "trainer.compile")  # what an untuned model takes of the trainer


MODEL = ("prompt", "evaluation.", "model.", *INFERENCE)


WITHOUT_MODEL = ("evaluation.metrics", "evaluation.instructions")


# Keys that came after the first identities, each with the value that does what was done before; there it is left out.
# "training", "prediction", "channel" and "choosing" are versions, not keys: what an older version has trained,
# predicted or chosen is of version 1.
# `evaluation.batch_tokens` did not count once; sums of rows depend in their last bits on who stands beside them, and
# what is decoded with them (docs/benchmarks.md has the figures).
NEUTRAL: dict[str, Any] = {
    "training": 1, "prediction": 1, "channel": 1, "choosing": 1,
    "evaluation.batch_tokens": 16384,
    "prompt.end_of_source": True, "prompt.add_task_name": False, "data.encodings": "one", "data.references": "one",
    "data.altered_share": 1.0,
    "tasks.mixture": None, "tasks.examples": 0, "trainer.loss": "per_token", "trainer.dropout": 0.0,
    "tasks.test_subset": None, "tasks.train_on": "training_tasks", "instruction.versions": [],
    "prompt.training_template": "first", "templates": None, "own_code": [],
    "tasks.train_categories": [], "tasks.train_include": [], "tasks.test_categories": [], "tasks.test_include": [],
    "method.target": "all_linear", "method.rslora": False, "method.dora": False, "method.learning_rate_factor": 1.0,
    "method.layers": "all",
    "prompt.system": None, "prompt.enable_thinking": None, "prompt.end_of_turn": False,
    "trainer.prompt_loss_weight": 0.0, "tasks.validation": 0, "trainer.select": "last", "trainer.patience": None,
    "tasks.parts": {}, "tasks.weights": {}, "tasks.leave_out": None, "tasks.test_parts": [],
    "data_budget.categories": None, "data_budget.total": None, "data_budget.repeat": 1, "evaluation.stop": "token",
    "evaluation.answer_slack": None,
    "evaluation.general": {}, "general": None, ORDER: USUAL_ORDER,
}  # fmt: skip


def reads(key: str, untuned: bool, baseline: bool) -> bool:
    """Whether a cell of this kind takes anything from a key."""
    if baseline and key.startswith(MODEL) and key not in WITHOUT_MODEL:
        return False
    return of_untuned(key) if untuned else True


def of_untuned(key: str) -> bool:
    """Whether an untuned model takes anything from a key too."""
    return key in ("data_budget", *INFERENCE) or not key.startswith(TRAINING)
