"""Families: each family's training and decoding here against transformers' own forward pass, in fp32.

    python benchmarks/families.py [tiny_qwen3 ...] [--json FILE]

Tiny random models in each family's own kinds of layers (`model/loading/tiny_families`), on prompts longer than their
windows. Loss: the greatest difference of a target token's loss, relative to the loss. Gradient: of a weight's gradient,
relative to its largest entry. Answers: greedy ones that differ from `generate`'s. Labels: rankings that differ from
plain forward passes', and the greatest difference of a label's log-likelihood.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from instruct_ablate.data.datamodule import PromptDataModule
from instruct_ablate.data.encoding import Encoding
from instruct_ablate.data.store import TokenStore, token_store
from instruct_ablate.model.decoding.engine_native import is_native
from instruct_ablate.model.decoding.predict import predict
from instruct_ablate.model.loading.checkpoint import Checkpoint, load_checkpoint
from instruct_ablate.model.loading.tiny_families import FAMILIES
from instruct_ablate.model.training.loss import packed_attention_of, token_losses
from instruct_ablate.model.training.packable import as_trained
from instruct_ablate.model.training.trainable import make_trainable
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config, DataConfig, MethodConfig, ModelConfig, PromptConfig, TrainerConfig

GROUPINGS = ("none", "task")
CACHE = Path(".cache")
LABELS = ("yes", "yes it is", "no", "maybe not so")
ANSWER = 8  # tokens
PROMPTS, RANKED = 6, 3
SMALL = 0.01  # of the largest gradient: what is smaller counts as if it were so large


@dataclass(frozen=True, slots=True)
class Equality:
    """What was compared, by which way of ours, and how much differs."""

    model: str
    trained: str
    decoded: str
    loss: float
    gradient: float
    answers: int  # that differ
    asked: int
    rankings: int  # that differ
    label_score: float


def measure(name: str, cache: Path) -> Equality:
    """Compare one family."""
    config = _config(name, cache)
    checkpoint = load_checkpoint(config.model, torch.float32, cache)
    followed, _ = as_trained(config, checkpoint.model)
    grouped = (replace(followed, data=replace(followed.data, grouping=one)) for one in GROUPINGS)
    both = [_training(checkpoint, one) for one in grouped]
    loss, gradient = (max(values) for values in zip(*both, strict=True))
    checkpoint = _talkative(load_checkpoint(config.model, torch.float32, cache))
    prompts = _prompts(PROMPTS)
    answers = sum(
        one.text != _generated(checkpoint, one.prompt) for one in predict(checkpoint, prompts, config)
    )
    config.evaluation.decoding = "rank"
    rankings, score = _ranking(checkpoint, prompts[-RANKED:], config)
    trained = "packed" if followed.data.packing else "padded"
    decoded = "native" if is_native(checkpoint) else "transformers"
    return Equality(name, trained, decoded, loss, gradient, answers, len(prompts), rankings, score)


def _config(name: str, cache: Path) -> Config:
    return Config(
        model=ModelConfig(name=name, source="random"),
        method=MethodConfig(name="full"),
        prompt=PromptConfig(template="plain", max_source_length=200, max_target_length=ANSWER),
        data=DataConfig(grouping="task"),
        trainer=TrainerConfig(batch_size=PROMPTS, micro_batch_tokens=400, accelerator="cpu", progress=False),
        cache=str(cache),
    )


def _prompts(count: int) -> list[Prompt]:
    """Prompts of three tasks, of unequal lengths; those of a task begin alike."""
    return [
        Prompt(
            f"task{number % 3}", "Test", "classification", str(number),
            f"Definition: answer number {number % 3} at once. " * 3 + f"Now {'do ' * (number * 5)}{number}:",
            ("yes",), "yes it is" + " so" * (number % 4), LABELS,
        )
        for number in range(count)
    ]  # fmt: skip


def _training(checkpoint: Checkpoint, config: Config) -> tuple[float, float]:
    """Return the greatest differences of losses and gradients, of one effective batch."""
    encoding = Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder)
    store = token_store(_prompts(PROMPTS), encoding, config.prompt, Path(config.cache))
    alone = [_plain(checkpoint, store, example) for example in range(len(store))]
    torch.cat(alone).sum().backward()
    wanted = _gradients(checkpoint.model)
    model = make_trainable(checkpoint.model, config)
    batches = PromptDataModule(store, config, checkpoint.start_token).batches()
    differences = [0.0]
    for part in batches.batch(0, batches.schedule.order(0)).micro_batches:
        with packed_attention_of(model, config.data.packing):
            losses = token_losses(model, part, config.data.packing)
            losses.sum().backward()
        for place, example in enumerate(part.examples.tolist()):
            own, given = alone[example].detach(), losses[part.owners == place].detach()
            differences.append(float(((given - own).abs() / own.clamp_min(1.0)).max()))
    return max(differences), max(_apart(_gradients(model), wanted))


def _plain(checkpoint: Checkpoint, store: TokenStore, example: int) -> Tensor:
    """Return the losses of one example's target tokens by the model's own forward pass."""
    source, target = (torch.tensor(ids[example].astype("int64")) for ids in (store.sources, store.targets))
    model: Any = checkpoint.model
    if checkpoint.encoder_decoder:
        before = torch.cat([target.new_tensor([checkpoint.start_token]), target[:-1]])
        logits = model(input_ids=source[None], decoder_input_ids=before[None]).logits[0]
    else:
        logits = model(input_ids=torch.cat([source, target])[None]).logits[0, len(source) - 1 : -1]
    return F.cross_entropy(logits.float(), target, reduction="none")


def _gradients(model: torch.nn.Module) -> dict[str, Tensor]:
    taken = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad(set_to_none=True)
    return taken


def _apart(given: dict[str, Tensor], wanted: dict[str, Tensor]) -> Iterator[float]:
    largest = max(float(gradient.abs().max()) for gradient in wanted.values())
    assert given.keys() == wanted.keys()
    for name, gradient in wanted.items():
        size = max(float(gradient.abs().max()), SMALL * largest)
        yield float((given[name] - gradient).abs().max()) / size


def _talkative(checkpoint: Checkpoint) -> Checkpoint:
    """Give a tiny model large weights, and let every eighth token end an answer: answers differ."""
    torch.manual_seed(0)
    for parameter in checkpoint.model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    words = checkpoint.model.get_output_embeddings().weight.shape[0]
    assert checkpoint.model.generation_config is not None
    checkpoint.model.generation_config.eos_token_id = list(range(1, words, 8))
    return checkpoint


def _source(checkpoint: Checkpoint, prompt: Prompt) -> Tensor:
    encoding = Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder)
    return torch.tensor(encoding.sources([prompt.source], 200))


def _generated(checkpoint: Checkpoint, prompt: Prompt) -> str:
    """Return what `generate` answers to a prompt alone."""
    ids, model = _source(checkpoint, prompt), checkpoint.model
    assert model.generation_config is not None
    stops = sorted({*model.generation_config.eos_token_id, checkpoint.tokenizer.eos_token_id})
    written: Any = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=ANSWER, do_sample=False, eos_token_id=stops
    )[0]
    answer = written[1:] if checkpoint.encoder_decoder else written[ids.shape[1] :]
    answer = answer[:-1] if int(answer[-1]) in stops else answer
    return str(checkpoint.tokenizer.decode(answer, skip_special_tokens=True)).strip()


def _ranking(checkpoint: Checkpoint, prompts: Sequence[Prompt], config: Config) -> tuple[int, float]:
    """Return how many rankings differ, and the greatest difference of a reference's log-likelihood."""
    wrong, apart = 0, 0.0
    for one in predict(checkpoint, prompts, config, likelihoods=True):
        scores = _label_scores(checkpoint, one.prompt)
        wrong += one.text != LABELS[scores.index(max(scores))]
        assert one.likelihoods is not None
        apart = max(apart, abs(one.likelihoods[0].log_probability - scores[0]))
    return wrong, apart


@torch.no_grad()
def _label_scores(checkpoint: Checkpoint, prompt: Prompt) -> list[float]:
    """Return each label's log-likelihood by a plain forward pass of its own."""
    ids, model = _source(checkpoint, prompt)[0], checkpoint.model
    scores = []
    for label in Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder).targets(LABELS, ANSWER)[0]:
        if checkpoint.encoder_decoder:
            before = torch.tensor([[checkpoint.start_token, *label[:-1]]])
            logits = model(input_ids=ids[None], decoder_input_ids=before).logits[0]
        else:
            logits = model(input_ids=torch.cat([ids, torch.tensor(label[:-1])])[None]).logits[
                0, len(ids) - 1 :
            ]
        scores.append(float(logits.log_softmax(-1)[range(len(label)), label].sum()))
    return scores


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=list(FAMILIES), metavar="MODEL")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(
        f"{'model':16}{'trained':9}{'decoded':14}{'loss':>9}{'gradient':>10}{'answers':>9}{'labels':>8}{'score':>9}"
    )
    rows = []
    for name in options.models:
        row = measure(name, CACHE)
        rows.append(asdict(row))
        print(
            f"{row.model:16}{row.trained:9}{row.decoded:14}{row.loss:9.1e}{row.gradient:10.1e}"
            f"{row.answers:>6}/{row.asked}{row.rankings:>6}/{RANKED}{row.label_score:9.1e}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
