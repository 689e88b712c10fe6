import pytest
import torch
from transformers import AutoModelForCausalLM, BartConfig, BartForConditionalGeneration
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

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
    assert is_packable(small(name, sliding_window=None, use_sliding_window=False), False, 1000)


def test_a_sliding_window_matters_only_where_something_is_longer():
    model = small("mistral", sliding_window=100)
    assert is_packable(model, False, 100)
    assert not is_packable(model, False, 101)


def test_what_adds_to_the_attention_is_found_out_by_trying():
    model = small("gemma2", sliding_window=4096, attn_logit_softcapping=0.01, final_logit_softcapping=None)
    assert not is_packable(model, False, 1000)


def test_models_without_the_attention_interface_are_not():
    assert not is_packable(
        AutoModelForCausalLM.from_config(
            CONFIG_MAPPING["mamba"](vocab_size=64, hidden_size=32, num_hidden_layers=1)
        ),
        False,
        100,
    )


def test_only_t5_among_encoder_decoders():
    sizes = {
        f"{side}_{what}": n
        for side in ("encoder", "decoder")
        for what, n in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 16))
    }
    model = BartForConditionalGeneration(BartConfig(vocab_size=64, d_model=16, **sizes))
    assert not is_packable(model, True, 100)
