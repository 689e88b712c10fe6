from __future__ import annotations

import copy

import pytest
from tokenizers import processors

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.errors import UserError
from instruct_ablate.model.loading.checkpoint import Checkpoint
from tests.left_out import left_out

TEXT = "Is it true that a week has seven days?"


def test_decoder_only_source_begins_with_the_start_token_and_does_not_end(llama: Checkpoint) -> None:
    (ids,) = Encoding(llama.tokenizer, False).sources([TEXT], 100)
    assert ids == llama.tokenizer(TEXT)["input_ids"]
    assert ids[0] == llama.tokenizer.bos_token_id
    assert ids[-1] != llama.tokenizer.eos_token_id


def test_a_tokenizer_that_begins_with_the_end_token_closes_nothing(opt: Checkpoint) -> None:
    encoding = Encoding(opt.tokenizer, False)
    (ids,) = encoding.sources([TEXT], 100)
    assert ids == opt.tokenizer(TEXT)["input_ids"]
    assert ids[0] == opt.tokenizer.eos_token_id != ids[-1]
    assert opt.tokenizer.decode(ids, skip_special_tokens=True) == TEXT


def test_target_follows_without_a_start_token_and_ends(llama: Checkpoint) -> None:
    ids, cut = Encoding(llama.tokenizer, False).targets(["yes", ""], 100)
    assert ids[0] == [
        *llama.tokenizer("yes", add_special_tokens=False)["input_ids"],
        llama.tokenizer.eos_token_id,
    ]
    assert ids[1] == [llama.tokenizer.eos_token_id]
    assert cut == [False, False]


def test_encoder_decoder_ends_both(t5: Checkpoint) -> None:
    encoding = Encoding(t5.tokenizer, True)
    assert encoding.sources([TEXT], 100) == [t5.tokenizer(TEXT)["input_ids"]]
    assert encoding.sources([TEXT], 100)[0][-1] == t5.tokenizer.eos_token_id
    assert encoding.targets(["yes"], 100)[0] == [t5.tokenizer("yes")["input_ids"]]


def test_sources_without_their_end_as_t0_reads_them(t5: Checkpoint) -> None:
    open_ended = Encoding(t5.tokenizer, True, end_of_source=False)
    whole = t5.tokenizer(TEXT)["input_ids"]
    assert open_ended.sources([TEXT, ""], 100) == [whole[:-1], [t5.tokenizer.eos_token_id]]
    assert open_ended.sources([TEXT], 4) == [whole[:4]]
    assert open_ended.targets(["yes"], 100) == Encoding(t5.tokenizer, True).targets(["yes"], 100)
    assert open_ended.fingerprint() != Encoding(t5.tokenizer, True).fingerprint(), (
        "prepared tokens are others"
    )


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_cut_source_of_an_encoder_keeps_its_end(t5: Checkpoint, limit: int) -> None:
    (ids,) = Encoding(t5.tokenizer, True).sources([TEXT], limit)
    assert ids == t5.tokenizer(TEXT, truncation=True, max_length=limit)["input_ids"]
    assert len(ids) == limit


def test_a_cut_decoder_source_keeps_its_beginning(llama: Checkpoint) -> None:
    (ids,) = Encoding(llama.tokenizer, False).sources([TEXT], 4)
    assert ids == llama.tokenizer(TEXT)["input_ids"][:4]


def test_a_cut_target_keeps_its_end_and_is_told(llama: Checkpoint) -> None:
    ids, cut = Encoding(llama.tokenizer, False).targets([TEXT, "no"], 3)
    assert ids[0] == [
        *llama.tokenizer(TEXT, add_special_tokens=False)["input_ids"][:2],
        llama.tokenizer.eos_token_id,
    ]
    assert cut == [True, False]


def test_a_decoder_source_is_left_open_though_its_tokenizer_ends_texts(llama: Checkpoint) -> None:
    tokenizer = copy.deepcopy(llama.tokenizer)
    ending = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", tokenizer.eos_token_id)]
    )
    tokenizer.backend_tokenizer.post_processor = ending
    encoding = Encoding(tokenizer, False)
    assert encoding.sources(["yes"], 100) == [tokenizer("yes", add_special_tokens=False)["input_ids"]]
    assert encoding.sources([""], 100) == [[tokenizer.bos_token_id]]  # never empty


def test_nothing_gives_nothing(llama: Checkpoint) -> None:
    assert Encoding(llama.tokenizer, False).sources([], 5) == []


def test_fingerprint_tells_tokenizers_apart(llama: Checkpoint, t5: Checkpoint) -> None:
    prints = {
        Encoding(llama.tokenizer, False).fingerprint(),
        Encoding(llama.tokenizer, True).fingerprint(),
        Encoding(t5.tokenizer, True).fingerprint(),
    }
    assert len(prints) == 3
    assert Encoding(copy.deepcopy(llama.tokenizer), False).fingerprint() in prints


def test_a_tokenizer_without_end_token_is_refused(llama: Checkpoint) -> None:
    tokenizer = copy.deepcopy(llama.tokenizer)
    tokenizer.eos_token = None
    with pytest.raises(UserError, match="no end-of-text token"):
        Encoding(tokenizer, False).targets(["yes"], 5)


def test_what_is_left_out() -> None:
    assert left_out(Encoding) == {"end_of_source": True}
