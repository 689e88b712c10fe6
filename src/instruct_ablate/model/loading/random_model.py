"""Tiny models with random weights, for tests: real folders of the usual format, made on the spot offline."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.disk.prepared import prepared
from instruct_ablate.errors import unknown
from instruct_ablate.model.loading.tiny_families import FAMILIES, TinyFamily, Words
from instruct_ablate.model.modes import quiet

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PretrainedConfig, PreTrainedTokenizerFast

RECIPE = 2  # raise it when the recipe changes what it writes
SEED = 0
CHAT = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def tiny_model(name: str, cache: Path) -> Path:
    """Return the folder of a tiny model, made when it is not in the cache yet."""
    if name not in FAMILIES:
        raise unknown("model for model.source=random", name, FAMILIES)
    return prepared(tiny_folder(name, cache), partial(_make, FAMILIES[name]))


def tiny_folder(name: str, cache: Path) -> Path:
    """Return where a tiny model lies once it is made."""
    return cache / "models" / f"{name}-{RECIPE}"


def shape_of(name: str) -> bytes:
    """Return all that a tiny model's shape follows from: its recipe, and the text and code that make its vocabulary."""
    if name not in FAMILIES:
        raise unknown("model for model.source=random", name, FAMILIES)
    made = f"{FAMILIES[name]} {RECIPE} {version('tokenizers')}\n"
    return "".join((made, *_text())).encode()


def tiny_fingerprint(name: str) -> str:
    """Return what a tiny model depends on."""
    return f"{name}:{RECIPE}"


def _make(family: TinyFamily, folder: Path) -> None:
    """Make the model with fixed random weights and write it with its tokenizer."""
    import torch
    from torch.nn import init
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    tokenizer = TOKENIZERS[family.words]()
    config = _configuration(family, tokenizer)
    maker = AutoModelForSeq2SeqLM if family.kind == "encoder-decoder" else AutoModelForCausalLM
    with _seeded():
        model: Any = maker.from_config(config)
        if family.untied:  # as real checkpoints have it; made by its configuration alone, a T5 is tied
            model.lm_head.weight = type(model.lm_head.weight)(
                init.normal_(torch.empty_like(model.shared.weight))
            )
    with quiet():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _configuration(family: TinyFamily, tokenizer: PreTrainedTokenizerFast) -> PretrainedConfig:
    """Return a family's configuration with the tokenizer's words, in its parts too."""
    from transformers import AutoConfig

    words: dict[str, Any] = {"vocab_size": len(tokenizer)}
    words |= {key: getattr(tokenizer, key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    if family.kind == "encoder-decoder":
        words["decoder_start_token_id"] = getattr(tokenizer, f"{family.begins}_token_id")
    settings = copy.deepcopy(family.settings)  # transformers writes into what it is given
    return AutoConfig.for_model(family.model_type, **_with_words(settings, words))


def _with_words(settings: Mapping[str, Any], words: dict[str, Any]) -> dict[str, Any]:
    """Add what a tokenizer decides to a configuration, and to the parts of one that has any."""
    parts = {name: settings[name] for name in ("encoder", "decoder", "text_config") if name in settings}
    return {**words, **settings, **{name: _with_words(part, words) for name, part in parts.items()}}


def _opened() -> PreTrainedTokenizerFast:
    """LLaMA's way: <s> stands first."""
    return _wrapped(_bpe("<s> $A"), bos_token="<s>", eos_token="</s>", unk_token="<unk>", chat_template=CHAT)


def _plain() -> PreTrainedTokenizerFast:
    """Qwen's and GPT-2's way: nothing is added. Without a padding token here, Qwen2's class would add its own."""
    return _wrapped(_bpe(None), eos_token="</s>", unk_token="<unk>", pad_token="<unk>", chat_template=CHAT)


def _opened_by_its_end() -> PreTrainedTokenizerFast:
    """OPT's way: the end token stands first, too."""
    return _wrapped(_bpe("</s> $A"), bos_token="</s>", eos_token="</s>", unk_token="<unk>")


def _opened_and_closed() -> PreTrainedTokenizerFast:
    """BART's way."""
    return _wrapped(
        _bpe("<s> $A </s>"), bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<unk>"
    )


def _folded() -> PreTrainedTokenizerFast:
    """T5's way: white space is folded and </s> ends every text."""
    return _wrapped(_folding_bpe(), pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


TOKENIZERS: dict[Words, Callable[[], PreTrainedTokenizerFast]] = {
    "opened": _opened,
    "plain": _plain,
    "opened_by_its_end": _opened_by_its_end,
    "opened_and_closed": _opened_and_closed,
    "folded": _folded,
}


def _bpe(added: str | None) -> Tokenizer:
    """Train a byte-level BPE of at most 1,024 tokens on the text in the package; `added`: what stands around a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_text(), trainer)
    if added is not None:
        named = [(word, place) for word, place in (("<s>", 1), ("</s>", 2)) if word in added.split()]
        tokenizer.post_processor = processors.TemplateProcessing(single=added, special_tokens=named)
    return tokenizer


def _folding_bpe() -> Tokenizer:
    """Train a BPE on characters that, like T5's tokenizer, folds white space and knows no bytes.

    (T5's own kind, Unigram, does not train to the same scores twice.)
    """
    from tokenizers import (
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip(left=False)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=1024, special_tokens=["<pad>", "</s>", "<unk>"], show_progress=False
    )
    tokenizer.train_from_iterator(_text(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def _text() -> list[str]:
    """Return the lines that the tokenizers are trained on."""
    return files(__package__).joinpath("tiny_text.txt").read_text(encoding="utf-8").splitlines()


def _wrapped(tokenizer: Tokenizer, **special: str) -> PreTrainedTokenizerFast:
    """Give a trained tokenizer the face that transformers knows."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


@contextmanager
def _seeded() -> Iterator[None]:
    """Fix torch's random numbers inside, and leave the caller's as they were."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        yield
