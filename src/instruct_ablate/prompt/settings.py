"""What the keys of `prompt` may be: a template that is there, and lengths that leave room for a word."""

from __future__ import annotations

from instruct_ablate.errors import UserError
from instruct_ablate.limits import any_value, check_limits, text, whole
from instruct_ablate.prompt import build  # noqa: F401 - templates register themselves
from instruct_ablate.prompt.template_set import check_templates, every_template
from instruct_ablate.schema import PromptConfig

LONGEST = 2**20  # tokens; what a model has room for is its own limit
LIMITS = {
    "template": text(),
    "training_template": text(),
    "max_source_length": whole(1, LONGEST),
    "max_target_length": whole(1, LONGEST),
    "end_of_source": any_value(),
    "add_task_name": any_value(),
    "system": text(LONGEST).or_null("for what the chat template has by itself"),
    "enable_thinking": any_value(),
    "end_of_turn": any_value(),
}


def check_prompt(config: PromptConfig) -> None:
    """Refuse a template that is not there, and lengths without room."""
    check_limits("prompt", config, LIMITS)
    check_templates(config)
    asked = {
        "system": config.system is not None,
        "enable_thinking": config.enable_thinking is not None,
        "end_of_turn": config.end_of_turn,
    }
    if "chat" not in every_template(config) and (key := next((key for key, on in asked.items() if on), None)):
        raise UserError(
            f"prompt.{key} is of prompt=chat, and prompt.template={config.template} has no chat template in it: "
            "leave it out, or use prompt=chat."
        )
