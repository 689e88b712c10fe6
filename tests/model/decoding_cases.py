"""Small models with varied answers, prompts that share beginnings, and what transformers makes of them."""

from __future__ import annotations

import random
from pathlib import Path

import torch

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.model.loading.checkpoint import Checkpoint, load_checkpoint
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config, ModelConfig

WORDS = [
    "yes",
    "no",
    "the",
    "value",
    "dog",
    "cat",
    "true",
    "false",
    "maybe",
    "river",
    "input",
    "output",
    "one",
    "two",
    "three",
]
LABELS = ("yes", "yes it is", "no", "maybe not so")
LIMIT = 12


def make_config(decoding: str = "greedy", batch_tokens: int = 400, engine: str = "native") -> Config:
    config = Config()
    config.prompt.max_source_length, config.prompt.max_target_length = 100, LIMIT
    config.evaluation.decoding, config.evaluation.batch_tokens = decoding, batch_tokens
    config.evaluation.engine = engine
    return config


def make_checkpoint(name: str, cache: Path, seed: int = 0) -> Checkpoint:
    """A tiny model with large random weights, and every eighth token ends an answer: lengths differ."""
    checkpoint = load_checkpoint(ModelConfig(name=name, source="random"), torch.float32, cache)
    torch.manual_seed(seed)
    for parameter in checkpoint.model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    size = checkpoint.model.config.vocab_size
    checkpoint.model.generation_config.eos_token_id = list(range(1, size, 8))
    return checkpoint


def make_prompts(tasks: int = 3, count: int = 12, choices: tuple[str, ...] | None = None) -> list[Prompt]:
    """Prompts of a task share a definition; the last ones of a task have lost a part of it."""
    draw = random.Random(0)
    prompts = []
    for task in range(tasks):
        definition, more = (" ".join(draw.choices(WORDS, k=k)) for k in (12, 8))
        for number in range(count):
            head = f"Definition: {definition}." + (f" Example: {more}." if number % 5 else "")
            text = f"{head} Input: {' '.join(draw.choices(WORDS, k=draw.randint(1, 9)))} Output: "
            kind = "classification" if choices else "generation"
            prompts.append(
                Prompt(f"task{task}", "C", kind, f"{task}-{number}", text, ("yes",), "yes", choices)
            )
    return prompts


def source(checkpoint: Checkpoint, prompt: Prompt, longest: int = 100) -> list[int]:
    return Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder).sources([prompt.source], longest)[0]


def labels(checkpoint: Checkpoint, prompt: Prompt) -> list[list[int]]:
    return Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder).targets(prompt.choices or (), LIMIT)[0]


def generated(checkpoint: Checkpoint, prompt: Prompt, longest: int = 100) -> str:
    """What `generate` answers to one prompt alone."""
    ids = torch.tensor([source(checkpoint, prompt, longest)])
    stops = sorted({*checkpoint.model.generation_config.eos_token_id, checkpoint.tokenizer.eos_token_id})
    written = checkpoint.model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=LIMIT, do_sample=False, eos_token_id=stops
    )[0]
    answer = written[1:] if checkpoint.encoder_decoder else written[ids.shape[1] :]
    if int(answer[-1]) in stops:
        answer = answer[:-1]
    return checkpoint.tokenizer.decode(answer, skip_special_tokens=True).strip()


def scored(checkpoint: Checkpoint, prompt: Prompt) -> list[list[float]]:
    """Log-likelihoods of the labels' tokens, each label in a plain forward pass of its own."""
    ids = source(checkpoint, prompt)
    rows = []
    for label in labels(checkpoint, prompt):
        with torch.no_grad():
            if checkpoint.encoder_decoder:
                before = torch.tensor([[checkpoint.start_token, *label[:-1]]])
                logits = checkpoint.model(input_ids=torch.tensor([ids]), decoder_input_ids=before).logits[0]
            else:
                logits = checkpoint.model(input_ids=torch.tensor([[*ids, *label[:-1]]])).logits[
                    0, len(ids) - 1 :
                ]
        rows.append(logits.log_softmax(-1)[range(len(label)), label].tolist())
    return rows
