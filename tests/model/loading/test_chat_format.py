from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.errors import UserError
from instruct_ablate.model.loading.chat_format import ChatFormat, check_chat, format_lines, target_end
from instruct_ablate.model.loading.tokenizer import TokenizerTokens
from instruct_ablate.schema import PromptConfig
from tests.model.loading.chat_families import FAMILIES, Family

FOLDER = "INSTRUCT_ABLATE_CHAT_TOKENIZER"  # a local tokenizer to try the same with
every = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


def config(**changes: Any) -> PromptConfig:
    return PromptConfig("chat", **changes)


def ids_of(tokenizer: Any, prompt: str) -> list[int]:
    (ids,) = Encoding(tokenizer, False).sources([prompt], 10_000)
    return ids


@every
def test_the_users_turn_and_the_answers_begin(family: Family) -> None:
    prompt = ChatFormat(family.tokenizer()).prompt("Hi")
    assert prompt.startswith(family.begins)
    assert prompt.endswith(family.ends)


@every
def test_there_is_one_start_token_or_none(family: Family) -> None:
    tokenizer = family.tokenizer()
    ids = ids_of(tokenizer, ChatFormat(tokenizer).prompt("Hi"))
    start = tokenizer.bos_token_id
    assert (ids.count(start), ids[0] == start) == ((1, True) if family.start else (0, False))
    assert TokenizerTokens(tokenizer).count(ChatFormat(tokenizer).prompt("Hi")) == len(ids)


@every
def test_the_systems_text_has_a_turn_or_stands_before_the_users(family: Family) -> None:
    form = ChatFormat(family.tokenizer(), "Be brief.")
    prompt = form.prompt("Hi")
    assert prompt.count("Be brief.") == 1
    assert form.has_system_turn == family.system
    assert ("Be brief.\n\nHi" in prompt) == (not family.system)
    assert prompt.endswith(family.ends)


@every
def test_thinking_is_turned_off_by_an_empty_block_where_the_template_knows_it(family: Family) -> None:
    tokenizer = family.tokenizer()
    if not family.thinking:
        with pytest.raises(UserError, match="does not read enable_thinking"):
            ChatFormat(tokenizer, enable_thinking=False).check()
        return
    off, on, own = (
        ChatFormat(tokenizer, enable_thinking=value).prompt("Hi") for value in (False, True, None)
    )
    assert off == on + "<think>\n\n</think>\n\n"
    assert on == own


@every
def test_the_end_of_a_turn_is_trained_and_stopped_at(family: Family) -> None:
    tokenizer = family.tokenizer()
    turn, end = (tokenizer.convert_tokens_to_ids(token) for token in (family.turn, family.end))
    assert ChatFormat(tokenizer).end_of_turn == turn
    assert target_end(tokenizer, config()) is None
    for asked, last in ((False, end), (True, turn)):
        encoding = Encoding(tokenizer, False, end_of_target=target_end(tokenizer, config(end_of_turn=asked)))
        assert encoding.targets(["yes"], 10)[0][0][-1] == last
        assert encoding.ends == {end, last}
    asked_for = Encoding(tokenizer, False, end_of_target=turn).fingerprint()
    assert (asked_for == Encoding(tokenizer, False).fingerprint()) == (turn == end)


@every
def test_an_answer_that_is_trained_reads_as_the_template_writes_it(family: Family) -> None:
    """Prompt and target together are the tokens of the template's own text of both turns, up to the turn's end."""
    tokenizer = family.tokenizer()
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "yes"}]
    template = family.template.replace("strftime_now('%d %B %Y')", "'26 July 2024'")
    whole = tokenizer.apply_chat_template(
        turns, chat_template=template, tokenize=False, date_string="26 Jul 2024"
    )
    prompt = ids_of(tokenizer, ChatFormat(tokenizer).prompt("Hi"))
    encoding = Encoding(tokenizer, False, end_of_target=target_end(tokenizer, config(end_of_turn=True)))
    ours = tokenizer.decode(prompt + encoding.targets(["yes"], 10)[0][0])
    assert whole.replace(" yes", "yes").rstrip("\n") == ours  # brackets: its space is the tokenizer's affair


def test_a_prompt_does_not_hang_on_the_day() -> None:
    tokenizer = FAMILIES[0].tokenizer()
    day = "{% if strftime_now is defined %}{{ strftime_now('%A, %d %b %y') }}{% endif %}"
    tokenizer.chat_template = day + "{{ messages[0].content }}"
    assert ChatFormat(tokenizer).prompt("Hi") == "Friday, 26 Jul 24Hi"


def test_an_end_that_is_not_the_templates_is_noted(caplog: pytest.LogCaptureFixture) -> None:
    chatml, *_, daily = FAMILIES
    with caplog.at_level(logging.WARNING):
        check_chat(chatml.tokenizer(), config(end_of_turn=True))
        check_chat(daily.tokenizer(), config())
        assert not caplog.text
        check_chat(chatml.tokenizer(), config())
    assert "ends an answer with <|im_end|>, and targets end with <|endoftext|>" in caplog.text


def test_a_template_without_an_end_has_none_to_train() -> None:
    tokenizer = FAMILIES[0].tokenizer()
    tokenizer.chat_template = "{% for message in messages %}{{ message.content }}\n{% endfor %}"
    assert ChatFormat(tokenizer).end_of_turn is None
    with pytest.raises(UserError, match=r"prompt.end_of_turn=true: .* ends an answer with no token"):
        target_end(tokenizer, config(end_of_turn=True))


def test_what_a_template_does_is_told() -> None:
    _, headers, model, *_ = FAMILIES
    told = "\n".join(format_lines(model.tokenizer(), config(system="Be brief.", end_of_turn=True)))
    assert "start token: <bos>\n" in told
    assert "system text: before the user's text" in told
    assert "ends an answer with <end_of_turn>; trained targets end with <end_of_turn>" in told
    told = "\n".join(format_lines(headers.tokenizer(), config()))
    assert "ends an answer with <|eot_id|>; trained targets end with <|end_of_text|>" in told
    assert "prompt.end_of_turn=true" in told


def test_a_local_tokenizer_behaves_so_too() -> None:
    folder = os.environ.get(FOLDER)
    if not folder or not Path(folder).is_dir():
        pytest.skip(f"{FOLDER} names no tokenizer's folder")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    form = ChatFormat(tokenizer, "Be brief.")
    ids = ids_of(tokenizer, form.prompt("Hi"))
    assert tokenizer.bos_token_id is None or ids.count(tokenizer.bos_token_id) <= 1
    assert "Be brief." in form.prompt("Hi")
    assert form.end_of_turn is not None
