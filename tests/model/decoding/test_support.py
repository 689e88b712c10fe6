import pytest
import torch
from transformers import AutoModelForCausalLM, BartConfig, BartForConditionalGeneration
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from instruct_ablate.model import trial
from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.decoding.support import is_packable

SMALL = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "pad_token_id": 0,
    "initializer_range": 0.3,
}


def small(name, **changes):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(CONFIG_MAPPING[name](**{**SMALL, **changes}))


@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3", "mistral", "olmo2", "gemma", "phi3", "gpt_neox"])
def test_the_usual_decoder_only_models_are(name):
    assert is_packable(small(name, sliding_window=None, use_sliding_window=False), False)


@pytest.mark.parametrize("name", ["mistral", "gemma2", "gemma3_text", "olmo3"])
def test_sliding_windows_and_capped_scores_are_known(name):
    model = small(name, sliding_window=100)
    assert is_packable(model, False)
    assert model.config.sliding_window == 100  # the trial's short ones are gone


@pytest.mark.parametrize("lost", ["sliding_window", "softcap"])
def test_what_a_layer_does_not_hand_down_is_found_out_by_trying(lost, monkeypatch):
    read = Scores.of
    monkeypatch.setattr(Scores, "of", lambda query, keywords: read(query, {**keywords, lost: None}))
    assert not is_packable(small("gemma2", sliding_window=4096, attn_logit_softcapping=0.01), False)


def test_where_rounding_hides_it_a_copy_in_full_precision_is_tried(monkeypatch):
    monkeypatch.setattr(trial, "ROUNDED", 0.0)
    model = small("llama").to(torch.bfloat16)
    assert is_packable(model, False)
    assert model.dtype == torch.bfloat16
    monkeypatch.setattr(trial, "COPIED", 1)
    another = small("llama").to(torch.bfloat16)
    assert not is_packable(another, False), "too large to be copied"
    assert not is_packable(
        small("gpt_oss", num_local_experts=2, num_experts_per_tok=1).to(torch.bfloat16), False
    )


def test_sinks_of_attention_are_found_out_by_trying():
    assert not is_packable(small("gpt_oss", num_local_experts=2, num_experts_per_tok=1), False)


def test_other_limits_of_what_tokens_see_are_not_known():
    assert not is_packable(small("llama", attention_chunk_size=8192), False)


def test_models_without_the_attention_interface_are_not():
    assert not is_packable(
        AutoModelForCausalLM.from_config(
            CONFIG_MAPPING["mamba"](vocab_size=64, hidden_size=32, num_hidden_layers=1)
        ),
        False,
    )


def test_bart_is_not():
    sizes = {
        f"{side}_{what}": n
        for side in ("encoder", "decoder")
        for what, n in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 16))
    }
    model = BartForConditionalGeneration(BartConfig(vocab_size=64, d_model=16, **sizes))
    assert not is_packable(model, True)
