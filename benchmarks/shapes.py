"""Models in the shapes of well-known ones, with random weights, and prompts of real lengths: nothing to download."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch

from instruct_ablate.model.loading.checkpoint import Checkpoint, load_tokenizer
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import ModelConfig

CACHE = Path(".cache")
WORDS = [
    "the", "of", "a", "is", "in", "to", "and", "that", "for", "answer", "question", "sentence", "input", "output",
    "word", "list", "text", "given", "number", "write", "following", "passage", "based", "same", "which", "false",
    "true", "yes", "no", "one", "two", "three", "river", "dog", "cat", "value", "contains",
]  # fmt: skip
# transformers' configuration classes and the sizes of the models of these names.
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "smollm2_135m": (
        "LlamaConfig",
        {
            "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
            "num_key_value_heads": 3, "vocab_size": 49152, "max_position_embeddings": 8192,
            "tie_word_embeddings": True,
        },
    ),
    "gemma3_270m": (
        "Gemma3TextConfig",
        {
            "hidden_size": 640, "intermediate_size": 2048, "num_hidden_layers": 18, "num_attention_heads": 4,
            "num_key_value_heads": 1, "head_dim": 256, "query_pre_attn_scalar": 256, "sliding_window": 512,
            "vocab_size": 262144, "max_position_embeddings": 32768,
        },
    ),
    "qwen3_0.6b": (
        "Qwen3Config",
        {
            "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
            "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936, "max_position_embeddings": 40960,
            "tie_word_embeddings": True,
        },
    ),
    "t5_large": (
        "T5Config",
        {
            "d_model": 1024, "d_kv": 64, "d_ff": 2816, "num_layers": 24, "num_heads": 16, "vocab_size": 32128,
            "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "dropout_rate": 0.0,
        },
    ),
}  # fmt: skip
# The same families as small as a test wants them, heads as wide as a GPU's kernels want them.
SMALL: dict[str, dict[str, Any]] = {
    "LlamaConfig": {
        "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 1024,
    },
    "Gemma3TextConfig": {
        "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 1, "head_dim": 64, "query_pre_attn_scalar": 64, "sliding_window": 64,
        "vocab_size": 1024, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    },
    "Qwen3Config": {
        "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 1024,
    },
    "T5Config": {
        "d_model": 128, "d_kv": 64, "d_ff": 256, "num_layers": 3, "num_heads": 2, "vocab_size": 1024,
    },
}  # fmt: skip


def make_checkpoint(
    name: str, dtype: torch.dtype, device: str = "cpu", small: bool = False, std: float = 0.02
) -> Checkpoint:
    """Return a model of a shape with random weights, made on its device, and a tokenizer of 1,024 tokens."""
    import transformers

    kind, sizes = SHAPES[name]
    seq2seq = kind == "T5Config"
    tokenizer = load_tokenizer(
        ModelConfig(name="tiny_t5" if seq2seq else "tiny_llama", source="random"), CACHE
    )
    special = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    special |= {"decoder_start_token_id": tokenizer.pad_token_id} if seq2seq else {"bos_token_id": 1}
    config = getattr(transformers, kind)(**{**sizes, **(SMALL[kind] if small else {}), **special})
    loader: Any = transformers.AutoModelForSeq2SeqLM if seq2seq else transformers.AutoModelForCausalLM
    torch.manual_seed(0)
    with torch.device(device):
        model = loader.from_config(config, dtype=dtype)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=std)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    return Checkpoint(model.eval(), tokenizer, seq2seq, name)


def make_prompts(
    tasks: int, instances: int, words: int = 150, seed: int = 0, choices: tuple[str, ...] | None = None
) -> list[Prompt]:
    """Return prompts whose lengths vary by task and instance; those of a task share three quarters of their words."""
    draw = random.Random(seed)
    prompts = []
    for task in range(tasks):
        length = int(words * draw.lognormvariate(0, 0.4))
        head = " ".join(draw.choices(WORDS, k=max(1, 3 * length // 4)))
        for number in range(instances):
            own = " ".join(draw.choices(WORDS, k=max(1, int(length * draw.uniform(0.1, 0.4)))))
            target = draw.choice(choices) if choices else " ".join(draw.choices(WORDS, k=draw.randint(1, 8)))
            prompts.append(
                Prompt(
                    task=f"task{task}",
                    category="Test",
                    kind="classification" if choices else "generation",
                    instance_id=f"{task}-{number}",
                    source=f"Definition: {head}. Input: {own} Output: ",
                    references=(target,),
                    target=target,
                    choices=choices,
                )
            )
    return prompts
