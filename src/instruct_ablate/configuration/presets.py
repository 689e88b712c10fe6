"""Models named by hub id: their sizes as their configurations have them, their terms, and what they were trained on.

Written down from model cards and papers, not fetched; a mark of interrogation stands where those say too little.
`docs/models.md` is made of this table (`instruct-ablate models --markdown`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SUPER_NI, P3, FLAN = "Super-NI", "P3", "FLAN"
READERS = {"natural_instructions": SUPER_NI, "p3": P3}  # the readers of `tasks` whose tasks those are
Kind = Literal["base", "instruct"]
OURS = "made for this package, Apache-2.0"
# Of the choices of `tasks` that are somebody's published collection, or ours: their reader, and the licence.
DATA_LICENCES = {
    **dict.fromkeys(("starter", "starter_yes_no"), ("starter", OURS)),
    "everyday": ("everyday", OURS),
    "verifiable": (
        "verifiable",
        f"requests {OURS}, and the starter's training tasks with them; those of tasks.root keep their own",
    ),
    "natural_instructions": (
        "natural_instructions",
        "Apache-2.0 (its repository), if these are Super-NaturalInstructions; each task's data keep their source's "
        "(its Instance License)",
    ),
    "p3": ("p3", "Apache-2.0 (its data card), if these are P3's; each data set keeps its source's"),
}


def data_licence(tasks: str, reader: object) -> str:
    """Return the licence of a collection, or that it is not known and why; `reader` reads it, None where none is known.

    `tasks` is the name that tables show, which anybody's data may have: the licence is that of what the reader reads.
    """
    own_reader, licence = DATA_LICENCES.get(tasks, ("", ""))
    if not licence:
        return "not known: no record names it, and the collection is none of those listed here"
    if reader in (own_reader, None):
        return licence
    return f"not known: the data are called so, and read by {reader}, not as the collection of that name"


@dataclass(frozen=True, slots=True)
class Preset:
    """One model.

    `shape`: what of its configuration is not its class's default, from which weights are counted. `context`: the
    tokens it was made for. `seen`: instruction collections among its training data as published; `published` False
    where that is not told, so that it may have seen any. `source` of what is said of its data.
    """

    path: str
    kind: Kind
    licence: str
    family: str
    shape: Mapping[str, Any]
    context: int
    published: bool
    source: str
    seen: tuple[str, ...] = ()
    precision: str = "bf16"
    tied: bool = field(default=True)

    def collections(self) -> str:
        """Say which collections it has probably seen."""
        if self.seen:
            return ", ".join(self.seen)
        return "none named" if self.published else "not published"


def seen_by(model: str, reader: str) -> str | None:
    """Say whether a model (a preset's name or its hub id) has probably seen a reader's tasks.

    "yes", "no", or "?" where its training data are not published; None for models or readers that are not listed.
    """
    collection, preset = READERS.get(reader), _listed(model)
    if collection is None or preset is None:
        return None
    if collection in preset.seen:
        return "yes"
    whole = any(one.startswith(FLAN) for one in preset.seen)  # FLAN 2022 holds both
    return "?" if whole or not preset.published else "no"


def _listed(model: str) -> Preset | None:
    """Return the preset of a name, a repack's or a hub id's; None for models that are not listed.

    Of a hub id (or a folder that it was downloaded to) settings have the last part alone: `flan-t5-base`.
    """
    known = REPACKS.get(model, model)
    if known in PRESETS:
        return PRESETS[known]
    ids = {one.path: one for one in PRESETS.values()}
    return ids.get(known) or {path.rpartition("/")[2]: one for path, one in ids.items()}.get(known)


def licence_of(model: str) -> str | None:
    """Return the licence of a model as its card names it; None for models that are not listed."""
    preset = _listed(model)
    return preset.licence if preset is not None else None


def _decoder(
    width: int, inner: int, layers: int, heads: tuple[int, int], words: int, **further: Any
) -> dict[str, Any]:
    """Return the shape of a decoder-only model; `heads` of queries, and of keys and values."""
    return {
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads[0],
        "num_key_value_heads": heads[1],
        "vocab_size": words,
        "tie_word_embeddings": True,
        **further,
    }


def _t5(width: int, inner: int, layers: int, heads: int) -> dict[str, Any]:
    """Return the shape of a T5 1.1."""
    return {
        "d_model": width, "d_ff": inner, "num_layers": layers, "num_heads": heads, "d_kv": 64, "vocab_size": 32128,
        "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
    }  # fmt: skip


QWEN3_CARD = "Qwen3 technical report (2025), 3.1: 36T tokens, synthetic ones among them; data not published"
GEMMA3_CARD = "Gemma 3 technical report (2025), 2.2: kinds of data named, data not published"
SMOLLM2_PAPER = (
    "Ben Allal et al. 2025 (SmolLM2), 4: web, code, mathematics, textbooks; no instruction collection"
)
SMOLTALK = "Ben Allal et al. 2025 (SmolLM2), 5: SmolTalk, part of it from OpenHermes 2.5, which draws on FLAN"
LM_ADAPT = (
    "Raffel et al. 2020; t5.1.1 release notes: C4 alone, without the supervised tasks; Lester et al. 2021"
)
FLAN_PAPER = "Chung et al. 2022, Longpre et al. 2023: FLAN 2022 holds Super-NI's and P3's tasks"
SMALL, BASE, LARGE, XL = (
    _t5(512, 1024, 8, 6),
    _t5(768, 2048, 12, 12),
    _t5(1024, 2816, 24, 16),
    _t5(2048, 5120, 24, 32),
)
GEMMA_270M = _decoder(640, 2048, 18, (4, 1), 262_144, head_dim=256, sliding_window=512)
SIGLIP = {
    "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
    "num_attention_heads": 16, "image_size": 896, "patch_size": 14,
}  # fmt: skip
LLAMA_SIZES = {
    "135m": _decoder(576, 1536, 30, (9, 3), 49_152),
    "360m": _decoder(960, 2560, 32, (15, 5), 49_152),
    "1_7b": _decoder(2048, 8192, 24, (32, 32), 49_152),
}


def _smollm2(size: str, kind: Kind) -> Preset:
    path = f"HuggingFaceTB/SmolLM2-{size.replace('_', '.').upper()}" + (
        "-Instruct" if kind == "instruct" else ""
    )
    shape, tuned = LLAMA_SIZES[size], kind == "instruct"
    source, seen = (SMOLTALK, (f"{FLAN}?",)) if tuned else (SMOLLM2_PAPER, ())
    return Preset(path, kind, "Apache-2.0", "llama", shape, 8192, True, source, seen)


def _t5_model(
    path: str, shape: Mapping[str, Any], source: str, seen: tuple[str, ...] = (), licence: str = "Apache-2.0"
) -> Preset:
    kind: Kind = "instruct" if seen else "base"
    return Preset(path, kind, licence, "t5", shape, 512, True, source, seen, tied=False)


PRESETS: dict[str, Preset] = {
    "qwen3_0_6b_base": Preset(
        "Qwen/Qwen3-0.6B-Base", "base", "Apache-2.0", "qwen3",
        _decoder(1024, 3072, 28, (16, 8), 151_936, head_dim=128), 32_768, False, QWEN3_CARD,
    ),
    "qwen3_1_7b_base": Preset(
        "Qwen/Qwen3-1.7B-Base", "base", "Apache-2.0", "qwen3",
        _decoder(2048, 6144, 28, (16, 8), 151_936, head_dim=128), 32_768, False, QWEN3_CARD,
    ),
    "gemma3_270m_hub": Preset(
        "google/gemma-3-270m", "base", "Gemma's terms", "gemma3_text", GEMMA_270M, 32_768, False, GEMMA3_CARD,
    ),
    "gemma3_1b": Preset(
        "google/gemma-3-1b-pt", "base", "Gemma's terms", "gemma3_text",
        _decoder(1152, 6912, 26, (4, 1), 262_144, head_dim=256, sliding_window=512), 32_768, False, GEMMA3_CARD,
    ),
    "olmo2_1b": Preset(
        "allenai/OLMo-2-0425-1B", "base", "Apache-2.0", "olmo2",
        _decoder(2048, 8192, 16, (16, 16), 100_352, tie_word_embeddings=False), 4096, True,
        "OLMo et al. 2025 (2 OLMo 2 Furious), 2.3: FLAN in the mid-training mix Dolmino, decontaminated", (FLAN,),
        tied=False,
    ),
    "llama3_2_1b": Preset(
        "meta-llama/Llama-3.2-1B", "base", "Llama 3.2 Community", "llama",
        _decoder(2048, 8192, 16, (32, 8), 128_256, head_dim=64), 131_072, False,
        "Llama 3.2 model card: publicly available data, not named",
    ),
    **{f"smollm2_{size}_base": _smollm2(size, "base") for size in LLAMA_SIZES},
    **{f"smollm2_{size}_instruct": _smollm2(size, "instruct") for size in LLAMA_SIZES},
    "smollm3_3b_base": Preset(
        "HuggingFaceTB/SmolLM3-3B-Base", "base", "Apache-2.0", "smollm3",
        _decoder(2048, 11_008, 36, (16, 4), 128_256), 65_536, True,
        "SmolLM3 release notes and configurations (2025): web, code, mathematics; instructions in the last stages",
        (f"{FLAN}?",),
    ),
    "t5gemma2_270m": Preset(
        "google/t5gemma-2-270m-270m", "base", "Gemma's terms", "t5gemma2",
        {"encoder": {"text_config": GEMMA_270M, "vision_config": SIGLIP}, "decoder": GEMMA_270M}, 131_072, False,
        "T5Gemma 2 report (2025): made of Gemma 3, whose data are not published",
    ),
    "t5_small_lm_adapt": _t5_model("google/t5-small-lm-adapt", SMALL, LM_ADAPT),
    "t5_base_lm_adapt": _t5_model("google/t5-base-lm-adapt", BASE, LM_ADAPT),
    "t5_large_lm_adapt": _t5_model("google/t5-large-lm-adapt", LARGE, LM_ADAPT),
    "t5_xl_lm_adapt": _t5_model("google/t5-xl-lm-adapt", XL, LM_ADAPT),
    "tk_instruct_3b": _t5_model(
        "allenai/tk-instruct-3b-def-pos", XL, "Wang et al. 2022: Super-NI's training tasks", (SUPER_NI,)
    ),
    "t0_3b": _t5_model("bigscience/T0_3B", XL, "Sanh et al. 2021: P3's training tasks", (P3,)),
    "flan_t5_small": _t5_model("google/flan-t5-small", SMALL, FLAN_PAPER, (SUPER_NI, P3, FLAN)),
    "flan_t5_base": _t5_model("google/flan-t5-base", BASE, FLAN_PAPER, (SUPER_NI, P3, FLAN)),
    "flan_t5_large": _t5_model("google/flan-t5-large", LARGE, FLAN_PAPER, (SUPER_NI, P3, FLAN)),
    "flan_t5_xl": _t5_model("google/flan-t5-xl", XL, FLAN_PAPER, (SUPER_NI, P3, FLAN)),
}  # fmt: skip
# Repacks that are fetched from the package index: what is said of the models they repack.
REPACKS = {"gemma3_270m": "gemma3_270m_hub", "smollm2_135m": "smollm2_135m_instruct"}

# What of a configuration says nothing of how many weights a preset's family has.
_SIZELESS = frozenset(
    {
        "_name_or_path", "_sliding_window_pattern", "architectures", "attention_dropout",
        "attn_implementation", "attn_logit_softcapping", "bos_token_id", "cache_implementation",
        "classifier_dropout", "decoder_start_token_id", "dense_act_fn", "dropout_rate", "dtype",
        "eos_token_id", "final_logit_softcapping", "hidden_act", "hidden_activation",
        "initializer_factor", "initializer_range", "is_llama_config", "layer_norm_epsilon",
        "layer_types", "max_position_embeddings", "max_window_layers", "model_type", "n_positions",
        "no_rope_layer_interval", "no_rope_layers", "output_past", "pad_token_id", "pretraining_tp",
        "query_pre_attn_scalar", "relative_attention_max_distance", "rms_norm_eps", "rope_interleaved",
        "rope_local_base_freq", "rope_parameters", "rope_scaling", "rope_theta", "scale_decoder_outputs",
        "sliding_window", "sliding_window_pattern", "tokenizer_class", "torch_dtype",
        "transformers.js_config", "transformers_version", "use_bidirectional_attention", "use_cache",
        "use_sliding_window",
    }
)  # fmt: skip
_USUAL = {
    "attention_bias": False, "mlp_bias": False, "is_encoder_decoder": True, "is_decoder": False, "is_gated_act": True,
    "relative_attention_num_buckets": 32,
}  # fmt: skip


def shaped_as(raw: Mapping[str, Any], own_head: bool) -> Preset | None:
    """Return a preset that has as many weights as a model of this config.json; None where anything leaves it open.

    `own_head`: whether a T5's weights hold an output layer of its own, which its configuration does not say.
    """
    t5 = raw.get("model_type") == "t5"
    for preset in PRESETS.values():
        tied = t5 and own_head is preset.tied
        if preset.family == raw.get("model_type") and not tied and _agrees(raw, preset.shape, t5):
            return preset
    return None


def _agrees(raw: Mapping[str, Any], shape: Mapping[str, Any], t5: bool) -> bool:
    left = (
        {"tie_word_embeddings"} if t5 else set()
    )  # which transformers writes true, whatever the weights are
    known = {key: value for key, value in shape.items() if key not in left | {"sliding_window"}}
    derived = {"num_decoder_layers": shape.get("num_layers")}
    if not t5:
        derived["head_dim"] = (
            shape["hidden_size"] // shape["num_attention_heads"] if "hidden_size" in shape else None
        )
    expected = {**_USUAL, **derived, **known}
    return all(raw.get(key) == value for key, value in known.items()) and all(
        key in _SIZELESS or key in left or (key in expected and value == expected[key])
        for key, value in raw.items()
    )
