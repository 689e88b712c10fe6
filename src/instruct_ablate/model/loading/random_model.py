"""Tiny models with random weights, for tests: real folders of the usual format, made on the spot offline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.errors import unknown
from instruct_ablate.model.modes import quiet
from instruct_ablate.prepared import prepared

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

RECIPE = 2  # raise it when the recipe changes what it writes
LONGEST = 4096
WIDTH = 64
SEED = 0
CHAT = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def tiny_model(name: str, cache: Path) -> Path:
    """Return the folder of a tiny model, made when it is not in the cache yet."""
    if name not in RECIPES:
        raise unknown("model for model.source=random", name, RECIPES)
    return prepared(cache / "models" / f"{name}-{RECIPE}", RECIPES[name])


def tiny_fingerprint(name: str) -> str:
    """Return what a tiny model depends on."""
    return f"{name}:{RECIPE}"


def _tiny_llama(folder: Path) -> None:
    """A LLaMA of two layers, with a byte-level BPE that puts <s> first, as LLaMA's does."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _wrapped(_bpe(), bos_token="<s>", eos_token="</s>", unk_token="<unk>", chat_template=CHAT)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=LONGEST,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    _save(lambda: LlamaForCausalLM(config), tokenizer, folder)


def _tiny_t5(folder: Path) -> None:
    """A T5 (version 1.1, as the LM-adapted ones) of two and two layers; </s> ends every text."""
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = _wrapped(_folding_bpe(), pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=WIDTH,
        d_kv=WIDTH // 4,
        d_ff=2 * WIDTH,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    _save(lambda: T5ForConditionalGeneration(config), tokenizer, folder)


RECIPES: dict[str, Callable[[Path], None]] = {"tiny_llama": _tiny_llama, "tiny_t5": _tiny_t5}


def _bpe() -> Tokenizer:
    """Train a byte-level BPE of at most 1,024 tokens on the text in the package."""
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
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
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


def _save(make: Callable[[], PreTrainedModel], tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Make the model with fixed random weights and write it with its tokenizer."""
    with _seeded():
        model: Any = make()
    with quiet():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


@contextmanager
def _seeded() -> Iterator[None]:
    """Fix torch's random numbers inside, and leave the caller's as they were."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        yield
