"""A tokenizer's chat template as prompts use it: one turn of the user's, and what an answer ends with.

What a template would take from elsewhere is fixed: families that write the day into their prompt get one and the same
day, that which Llama 3 has where it knows none. Otherwise a prompt of today would be another one tomorrow.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from instruct_ablate.errors import UserError
from instruct_ablate.schema import PromptConfig

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)
DAY = datetime(2024, 7, 26)
CLOCK = "strftime_now"  # the function by which templates ask for the day
PARTS = ("%d", "%B", "%b", "%Y", "%m", "%A", "%a", "%y")
ANSWER = "0answer0"  # stands for an answer where its end is looked for
THINKING = "enable_thinking"  # as Qwen3's and SmolLM3's templates call it


@dataclass(frozen=True)
class ChatFormat:
    """The chat template of a tokenizer, with what `prompt` says of it."""

    tokenizer: PreTrainedTokenizerBase
    system: str | None = None
    enable_thinking: bool | None = None

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, config: PromptConfig) -> ChatFormat:
        """Return the format that a configuration asks for."""
        return cls(tokenizer, config.system, config.enable_thinking)

    def prompt(self, text: str) -> str:
        """Return `text` as the user's turn, up to where the answer begins; the start token is left to the tokenizer."""
        chat = self._render(self._turns(text), add_generation_prompt=True)
        start = self.tokenizer.bos_token
        # A tokenizer that puts its start token first would put it twice.
        doubled = start and chat.startswith(start) and self._adds_start
        return chat[len(start) :] if doubled else chat

    @property
    def end_of_turn(self) -> int | None:
        """The token that the template ends an answer with; None where it ends it with none."""
        turns = [*self._turns("question"), {"role": "assistant", "content": ANSWER}]
        after = self._render(turns).rpartition(ANSWER)[2].lstrip()
        ids = self.tokenizer(after, add_special_tokens=False)["input_ids"]
        first = ids[0] if ids else None
        return first if first in self.tokenizer.added_tokens_decoder else None

    @property
    def has_system_turn(self) -> bool:
        """Whether the template has a place for the system's text; else it stands before the user's."""
        return self.system is None or self._writes_system(self.system)

    def check(self) -> None:
        """Refuse a tokenizer without a chat template, and thinking where its template knows none."""
        if self.enable_thinking is not None and THINKING not in self._template():
            raise UserError(
                f"prompt.enable_thinking: the chat template of {self.tokenizer.name_or_path!r} does not read "
                f"{THINKING}; leave it at null."
            )
        self.prompt("")

    def _turns(self, text: str) -> list[dict[str, str]]:
        if self.system is None:
            return [{"role": "user", "content": text}]
        if self._writes_system(self.system):
            return [{"role": "system", "content": self.system}, {"role": "user", "content": text}]
        return [{"role": "user", "content": f"{self.system.strip()}\n\n{text}"}]  # as Gemma 3 does by itself

    def _writes_system(self, system: str) -> bool:
        """Whether the template takes the system's turn: some refuse it, some leave it out."""
        from jinja2.exceptions import TemplateError

        turns = [{"role": "system", "content": system}, {"role": "user", "content": "question"}]
        try:
            return system.strip() in self._render(turns)
        except TemplateError:
            return False

    def _render(self, turns: list[dict[str, str]], add_generation_prompt: bool = False) -> str:
        known: dict[str, Any] = {} if self.enable_thinking is None else {THINKING: self.enable_thinking}
        return str(
            self.tokenizer.apply_chat_template(
                turns,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                chat_template=_on_one_day(self._template()),
                date_string=DAY.strftime("%d %b %Y"),
                **known,
            )
        )

    def _template(self) -> str:
        if not self.tokenizer.chat_template:
            raise UserError(
                f"the tokenizer of {self.tokenizer.name_or_path!r} has no chat template, which prompt=chat "
                "needs. Choose another (prompt=tk_instruct, alpaca, plain) or an instruction-tuned model."
            )
        return str(self.tokenizer.get_chat_template())

    @property
    def _adds_start(self) -> bool:
        ids = self.tokenizer("", return_attention_mask=False, verbose=False)["input_ids"]
        return list(ids[:1]) == [self.tokenizer.bos_token_id]


def _on_one_day(template: str) -> str:
    """Return the template with a clock that stands still: transformers hands no function of ours to a template."""
    if CLOCK not in template:
        return template
    filled = "".join(f" | replace('{part}', '{DAY.strftime(part)}')" for part in PARTS)
    return f"{{% macro {CLOCK}(form) %}}{{{{ form{filled} }}}}{{% endmacro %}}{template}"


def target_end(tokenizer: PreTrainedTokenizerBase, config: PromptConfig) -> int | None:
    """Return the token that answers end with where it is the template's; None: the tokenizer's own end."""
    if not config.end_of_turn:
        return None
    end = ChatFormat.of(tokenizer, config).end_of_turn
    if end is None:
        raise UserError(
            f"prompt.end_of_turn=true: the chat template of {tokenizer.name_or_path!r} ends an answer with no token "
            "of its own; leave it at false."
        )
    return end


def end_note(tokenizer: PreTrainedTokenizerBase, config: PromptConfig) -> str | None:
    """Say where answers are trained to end otherwise than the template ends them; None where they are not."""
    end = ChatFormat.of(tokenizer, config).end_of_turn
    if config.end_of_turn or end is None or end == tokenizer.eos_token_id:
        return None
    turn = tokenizer.convert_ids_to_tokens(end)
    return (
        f"prompt=chat: the template ends an answer with {turn}, and targets end with {tokenizer.eos_token}; "
        "prompt.end_of_turn=true trains the former and stops at it"
    )


def check_chat(tokenizer: PreTrainedTokenizerBase, config: PromptConfig) -> None:
    """Refuse what the template cannot do, and note an end that is trained otherwise than the template's."""
    ChatFormat.of(tokenizer, config).check()
    target_end(tokenizer, config)
    if note := end_note(tokenizer, config):
        log.warning("%s", note)


def format_lines(tokenizer: PreTrainedTokenizerBase, config: PromptConfig) -> list[str]:
    """Say what the template does to a prompt, for people."""
    form = ChatFormat.of(tokenizer, config)
    form.check()
    ids = tokenizer(form.prompt("question"))["input_ids"]
    start, end = tokenizer.bos_token_id, form.end_of_turn
    count = ids.count(start) if start is not None else 0
    turn = "no token of its own" if end is None else str(tokenizer.convert_ids_to_tokens(end))
    target = turn if config.end_of_turn else tokenizer.eos_token
    place = (
        "in a turn of its own"
        if form.has_system_turn
        else "before the user's text: there is no system's turn"
    )
    return [
        f"start token: {tokenizer.bos_token if count else 'none'}"
        + (f", {count} times" if count > 1 else ""),
        *([f"system text: {place}"] if config.system is not None else []),
        f"the template ends an answer with {turn}; trained targets end with {target}",
        *filter(None, [end_note(tokenizer, config) if end is not None else None]),
    ]
