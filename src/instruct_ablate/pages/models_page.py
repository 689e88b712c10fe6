"""The page docs/models.md: the models named by hub id, what they take and what they have seen; made of `presets.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from instruct_ablate.configuration.presets import PRESETS, REPACKS, Preset
from instruct_ablate.grid.planning.estimate import training_memory
from instruct_ablate.model.loading.parameter_count import preset_weights
from instruct_ablate.schema import MethodConfig, TrainerConfig

COLUMNS = (
    "model",
    "hub id",
    "kind",
    "weights",
    "licence",
    "output layer",
    "context",
    "precision",
    "full",
    "LoRA",
    "seen",
)
FAMILIES = """\
| family | tiny preset | trained | decoded |
|---|---|---|---|
| LLaMA, Llama 3.x | `tiny_llama`, `tiny_llama3` | packed | packed |
| Qwen 2.5, Qwen 3 | `tiny_qwen2`, `tiny_qwen3` | packed | packed |
| Gemma 3 (sliding windows) | `tiny_gemma3` | packed | packed |
| SmolLM 3 (layers without positions) | `tiny_smollm3` | packed | packed |
| OLMo 2, OLMo 3 (sliding windows) | `tiny_olmo2`, `tiny_olmo3` | packed | packed |
| Mistral (sliding windows) | `tiny_mistral` | packed | packed |
| Phi-4-mini | `tiny_phi4` | packed | packed |
| GPT-2, GPT-NeoX, OPT | `tiny_gpt2`, `tiny_gpt_neox`, `tiny_opt` | packed | packed |
| T5 1.0 and 1.1, mT5, UMT5 | `tiny_t5_v1_0`, `tiny_t5`, `tiny_t5_v1_1`, `tiny_mt5`, `tiny_umt5` | packed | packed |
| T5Gemma 2 (sliding windows, text alone) | `tiny_t5gemma2` | packed | packed |
| BART | `tiny_bart` | padded, with a note | by transformers, with a note |
"""
INTRODUCTION = """\
# Models

Made by `instruct-ablate models --markdown` from `presets.py`.

`model=NAME` takes one of these; `model=FOLDER` or `model=OWNER/NAME` any other that transformers reads. Without a hub,
`model.root=FOLDER` looks for hub ids in a folder of yours, as FOLDER/OWNER/NAME or FOLDER/NAME, and asks no hub: for
all models of a grid, and what adapters stand on. `model=NAME model.path=FOLDER` reads one preset from its own folder,
under its name. A local checkpoint counts in a cell's identity by its files' content, a hub's by its commit. Nothing was
fetched to write this page: weights are counted from the configurations' shapes, the rest is what cards and papers say.

- **full**, **LoRA**: memory in GB for weights, gradients and AdamW (LoRA: rank {rank} beside all linear layers), in the
  precision named. Activations come on top, as `trainer.micro_batch_tokens` has them; `plan` says the same of a grid.
- **context**: tokens that the model was made for; T5's positions are relative, and it was trained on 512.
- **seen**: collections of instructions among its training data. Tests on what a model has seen measure less than they
  seem to; reports and `plan` say so. A question mark: what is published says too little to tell. *not published*: it
  may have seen any. FLAN 2022 holds Super-NI's and P3's tasks. *none named*: its data are published or described, and
  none of these is among them.
- Gemma's and Llama's terms must be accepted on the hub before it gives the weights.

"""
FURTHER = """
`model=gemma3_270m` and `model=smollm2_135m` are 4-bit repacks by third parties from the package index, of Gemma 3 270M
and of SmolLM2 135M Instruct: another precision of weights, and so other results.

## Families

Any size of these families trains and decodes the same way. What the packed ways do not know takes transformers' own
path, with a note in the cell's record; whether they know a model is decided by trying, on a few tokens beyond its
windows. The tiny presets have random weights in the family's own kinds of layers, for tests.

"""
EQUALITY = """
`python benchmarks/families.py` compares losses, gradients, greedy answers and rankings of labels with those of
transformers' own forward pass, on prompts longer than the windows; tests/model/test_equality.py asserts it.

BART's targets have no `<s>` of their own here, neither in training nor in decoding (`forced_bos_token_id` is left out).
T5Gemma 2 is used for text alone; its weights include its encoder of pictures (433M of 801M), which no method trains.

## Sources

"""


@dataclass(frozen=True, slots=True)
class Size:
    """What a model takes: its weights, and bytes while training."""

    weights: int
    full: int
    lora: int


def size_of(preset: Preset) -> Size:
    """Count a preset's weights and what training takes."""
    methods, trainer = (MethodConfig("full"), MethodConfig("lora")), TrainerConfig(precision=preset.precision)
    weights, *trained = preset_weights(preset, *methods)
    sizes = zip(trained, methods, strict=True)
    full, lora = (training_memory(weights, count, method, trainer) for count, method in sizes)
    return Size(weights, full, lora)


def rows() -> Iterator[tuple[str, ...]]:
    """Yield each model's cells, as `COLUMNS` head them."""
    known: dict[str, Size] = {}
    for name, preset in PRESETS.items():
        shape = f"{preset.family} {preset.shape}"
        size = known[shape] = known.get(shape) or size_of(preset)
        yield (
            name, preset.path, preset.kind, _number(size.weights), preset.licence, "tied" if preset.tied else "own",
            f"{preset.context:,}", preset.precision, f"{size.full / 1e9:.1f}", f"{size.lora / 1e9:.1f}",
            preset.collections(),
        )  # fmt: skip


def models_page() -> str:
    """Return the page."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join((f"`{name}`", f"`{path}`", *rest)) + " |" for name, path, *rest in rows()]
    sources: dict[str, list[str]] = {preset.source: [] for preset in PRESETS.values()}
    for name, preset in PRESETS.items():
        sources[preset.source].append(f"`{name}`")
    told = [f"- {', '.join(names)}: {source}." for source, names in sources.items()]
    told += [f"- `{name}`: as `{of}`." for name, of in REPACKS.items()]
    return (
        INTRODUCTION.format(rank=MethodConfig("lora").rank) + "\n".join(lines) + "\n" + FURTHER + FAMILIES + EQUALITY
        + "\n".join(told) + "\n"
    )  # fmt: skip


def _number(weights: int) -> str:
    return f"{weights / 1e9:.2f}B" if weights >= 1e9 else f"{weights / 1e6:.0f}M"
