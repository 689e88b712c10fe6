from __future__ import annotations

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.prompt.settings import check_prompt
from instruct_ablate.schema import PromptConfig


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (PromptConfig("plane"), "did you mean 'plain'"),
        (PromptConfig("plain", 0), r"^prompt\.max_source_length=0 must be at least 1$"),
        (PromptConfig("plain", 1, 0), "max_target_length=0 must be at least 1"),
        (PromptConfig(".x"), "module.function"),
        (PromptConfig("plain", system="Be brief."), "prompt.system is of prompt=chat"),
        (PromptConfig("plain", enable_thinking=False), "prompt.enable_thinking is of prompt=chat"),
        (PromptConfig("plain+alpaca", end_of_turn=True), "prompt.end_of_turn is of prompt=chat"),
        (PromptConfig("chat", system=""), "prompt.system"),
    ],
)
def test_prompts_that_cannot_be_built(config: PromptConfig, said: str) -> None:
    check_prompt(PromptConfig("plain", 1, 1))
    with pytest.raises(UserError, match=said):
        check_prompt(config)


def test_chats_have_keys_of_their_own() -> None:
    check_prompt(PromptConfig("chat", system="Be brief.", enable_thinking=False, end_of_turn=True))
    check_prompt(PromptConfig("plain+chat", end_of_turn=True))


def test_the_longest_that_is_allowed() -> None:
    check_prompt(PromptConfig("plain", 2**20, 2**20))
    with pytest.raises(UserError, match="at most 1048576"):
        check_prompt(PromptConfig("plain", 2**20 + 1))
    with pytest.raises(UserError, match="at most 1048576"):
        check_prompt(PromptConfig("plain", 1, 2**20 + 1))
