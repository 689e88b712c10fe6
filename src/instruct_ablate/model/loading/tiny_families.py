"""Tiny models with random weights, a family a row: the kinds of layers that the real ones have, in small.

Windows are shorter than ordinary prompts, and where a family mixes kinds of layers, all of its kinds are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from instruct_ablate.model.families import Kind

Words = Literal["opened", "plain", "folded", "opened_by_its_end", "opened_and_closed"]

WIDTH = 64
HEADS = 4
LONGEST = 4096
WINDOW = 32
SLIDING, FULL = "sliding_attention", "full_attention"


@dataclass(frozen=True, slots=True)
class TinyFamily:
    """A recipe: the configuration class's `model_type`, what is not its default, and the tokenizer it goes with.

    `words`: a byte-level BPE that puts its start token first (`opened`), adds nothing (`plain`), ..., or T5's kind,
    which folds white space (`folded`). `positions`: the longest sequence, None where that is not limited. `begins`:
    the special token that a decoder beside an encoder starts with. `untied`: its output layer is not its embeddings.
    """

    model_type: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    words: Words = "plain"
    kind: Kind = "decoder-only"
    positions: int | None = LONGEST
    begins: Literal["pad", "bos", "eos"] = "pad"
    untied: bool = False


BODY: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
}
GROUPED: dict[str, Any] = {
    **BODY,
    "num_key_value_heads": 2,
    "max_position_embeddings": LONGEST,
    "tie_word_embeddings": True,
}
T5: dict[str, Any] = {
    "d_model": WIDTH,
    "d_kv": WIDTH // HEADS,
    "d_ff": 2 * WIDTH,
    "num_layers": 2,
    "num_heads": HEADS,
}
GATED_T5: dict[str, Any] = {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
WIDER_T5: dict[str, Any] = {**GATED_T5, "d_kv": 32}  # heads times this is not the width
GEMMA: dict[str, Any] = {
    **GROUPED,
    "num_hidden_layers": 3,
    "num_key_value_heads": 1,
    "head_dim": 32,  # heads times this is not the width
    "query_pre_attn_scalar": 32,
    "sliding_window": WINDOW,
    "layer_types": [SLIDING, FULL, SLIDING],  # by the family's own rule the first five slide
}
LLAMA_3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "beta_fast": 32,
    "beta_slow": 1,
    "attention_factor": 1.2,
    "original_max_position_embeddings": LONGEST // 8,
}
PHI_4 = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "partial_rotary_factor": 0.75,
    "short_factor": [1.0, 1.1, 1.2, 1.3, 1.5, 2.0],
    "long_factor": [1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
}
BART: dict[str, Any] = {
    "d_model": WIDTH,
    "max_position_embeddings": LONGEST // 4,
    "forced_eos_token_id": None,
    **{
        f"{side}_{what}": size
        for side in ("encoder", "decoder")
        for what, size in (("layers", 2), ("attention_heads", HEADS), ("ffn_dim", 2 * WIDTH))
    },
}
PICTURES = {  # T5Gemma 2 reads pictures too; no prompt here has any
    "model_type": "siglip_vision_model",
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
}


def _t5(model_type: str, settings: Mapping[str, Any], untied: bool = False) -> TinyFamily:
    """Return a family of T5's kind: positions are relative, so that any length will do."""
    return TinyFamily(model_type, settings, "folded", "encoder-decoder", None, untied=untied)


FAMILIES: dict[str, TinyFamily] = {
    "tiny_llama": TinyFamily("llama", GROUPED, "opened"),
    "tiny_llama3": TinyFamily("llama", {**GROUPED, "rope_parameters": LLAMA_3}, "opened"),
    "tiny_qwen2": TinyFamily("qwen2", GROUPED),
    "tiny_qwen3": TinyFamily("qwen3", {**GROUPED, "head_dim": 32}),
    "tiny_gemma3": TinyFamily("gemma3_text", GEMMA, "opened"),
    "tiny_smollm3": TinyFamily("smollm3", {**GROUPED, "num_hidden_layers": 4}),  # the fourth has no positions
    "tiny_olmo2": TinyFamily("olmo2", {**GROUPED, "tie_word_embeddings": False}),
    "tiny_olmo3": TinyFamily(
        "olmo3",
        {
            **GROUPED,
            "tie_word_embeddings": False,
            "sliding_window": WINDOW,
            "layer_types": [SLIDING, FULL],
            "rope_parameters": {FULL: YARN, SLIDING: {"rope_type": "default", "rope_theta": 500_000.0}},
        },
    ),
    "tiny_mistral": TinyFamily(
        "mistral", {**GROUPED, "tie_word_embeddings": False, "sliding_window": WINDOW}, "opened"
    ),
    "tiny_phi4": TinyFamily(
        "phi3", {**GROUPED, "original_max_position_embeddings": LONGEST, "rope_parameters": PHI_4}
    ),
    "tiny_gpt2": TinyFamily(
        "gpt2",
        {"n_embd": WIDTH, "n_layer": 2, "n_head": HEADS, "n_positions": LONGEST // 2},
        positions=LONGEST // 2,
    ),
    "tiny_gpt_neox": TinyFamily("gpt_neox", {**BODY, "max_position_embeddings": LONGEST}),
    "tiny_opt": TinyFamily(
        "opt",
        {
            "hidden_size": WIDTH,
            "word_embed_proj_dim": WIDTH,
            "ffn_dim": 2 * WIDTH,
            "num_hidden_layers": 2,
            "num_attention_heads": HEADS,
            "max_position_embeddings": LONGEST // 2,
        },
        "opened_by_its_end",
        positions=LONGEST // 2,
    ),
    "tiny_t5": _t5("t5", GATED_T5),
    "tiny_t5_v1_0": _t5("t5", {**T5, "tie_word_embeddings": True}),
    "tiny_t5_v1_1": _t5("t5", WIDER_T5, untied=True),
    "tiny_mt5": _t5("mt5", WIDER_T5),
    "tiny_umt5": _t5("umt5", WIDER_T5, untied=True),
    "tiny_t5gemma2": TinyFamily(
        "t5gemma2",
        {
            "encoder": {"text_config": GEMMA, "vision_config": PICTURES, "mm_tokens_per_image": 4},
            "decoder": GEMMA,
        },
        "opened",
        "encoder-decoder",
        begins="bos",
    ),
    "tiny_bart": TinyFamily("bart", BART, "opened_and_closed", "encoder-decoder", LONGEST // 4, "eos"),
}
