"""Small fits for the training tests: prompts, configurations, micro-batches, plain losses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instruct_ablate.data.collate import collate
from instruct_ablate.data.datamodule import PromptDataModule
from instruct_ablate.data.encoding import Encoding
from instruct_ablate.data.micro_batch import EffectiveBatch
from instruct_ablate.data.store import TokenStore, token_store
from instruct_ablate.model.loading.checkpoint import Checkpoint, load_checkpoint
from instruct_ablate.model.training.layers.dropout import Dropout
from instruct_ablate.model.training.loss import TokenLosses, packed_attention_of
from instruct_ablate.model.training.trainable import make_trainable
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import (
    BudgetConfig,
    Config,
    DataConfig,
    MethodConfig,
    ModelConfig,
    PromptConfig,
    TrainerConfig,
)

NAMES = ("tiny_llama", "tiny_t5")
TOP = MethodConfig(name="lora", layers="top:1", rank=4, alpha=8)


def make_prompts(count: int = 14) -> list[Prompt]:
    """Prompts of three tasks and unequal lengths, some longer than a block of attention."""
    return [
        Prompt(
            task=f"task{number % 3}",
            category="Test",
            kind="classification",
            instance_id=str(number),
            source=f"Definition: answer number {number % 3} at once. " * 3
            + f"Now {'do ' * (number * 3)}{number}:",
            references=("yes",),
            target="yes it is" + " so" * (number % 4),
        )
        for number in range(count)
    ]


def make_config(cache_folder: Path, name: str = "tiny_llama", **trainer: Any) -> Config:
    """The configuration of a fit; keywords are those of `trainer`."""
    settings = {
        "learning_rate": 1e-2,
        "batch_size": 5,
        "epochs": 2.0,
        "accelerator": "cpu",
        "progress": False,
        "micro_batch_tokens": 400,
        "checkpoint_every_steps": 2,
    }
    return Config(
        model=ModelConfig(name=name, source="random"),
        method=MethodConfig(name="full"),
        prompt=PromptConfig(template="plain"),
        data_budget=BudgetConfig(instances_per_task=8),
        data=DataConfig(),
        trainer=TrainerConfig(**{**settings, **trainer}),
        cache=str(cache_folder),
    )


def load(config: Config, dtype: torch.dtype = torch.float32) -> Checkpoint:
    """The checkpoint of a configuration."""
    return load_checkpoint(config.model, dtype, Path(config.cache))


def make_store(checkpoint: Checkpoint, config: Config, count: int = 14) -> TokenStore:
    """The tokens of the prompts."""
    encoding = Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder)
    return token_store(make_prompts(count), encoding, config.prompt, Path(config.cache))


def first_batch(checkpoint: Checkpoint, config: Config, count: int = 14) -> EffectiveBatch:
    """The effective batch of the first step."""
    data = PromptDataModule(make_store(checkpoint, config, count), config, checkpoint.start_token)
    batches = data.batches()
    return batches.batch(0, batches.schedule.order(0))


def plain_losses(checkpoint: Checkpoint, store: TokenStore, example: int) -> Tensor:
    """The loss of every target token of one example, by the library's own forward."""
    source, target = (torch.tensor(ids[example].astype("int64")) for ids in (store.sources, store.targets))
    model: Any = checkpoint.model
    if checkpoint.encoder_decoder:
        logits = model(input_ids=source[None], labels=target[None]).logits[0]
    else:
        logits = model(input_ids=torch.cat([source, target])[None]).logits[0, len(source) - 1 : -1]
    return F.cross_entropy(logits.float(), target, reduction="none")


def gradients(model: torch.nn.Module) -> dict[str, Tensor]:
    """Take the gradients off a model."""
    taken = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad(set_to_none=True)
    return taken


def weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """A copy of a checkpoint's weights."""
    return {name: weight.clone() for name, weight in checkpoint.model.state_dict().items()}


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two sets of weights are the same, bit by bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def changed(config: Config, **groups: dict[str, Any]) -> Config:
    """Return a configuration with some values of some groups changed."""
    return replace(
        config, **{name: replace(getattr(config, name), **values) for name, values in groups.items()}
    )


def dropping_sites(checkpoint: Checkpoint, config: Config) -> list[str]:
    """Name the modules at which a packed pass over two examples drops, in its order."""
    seen: list[str] = []

    class Counting(Dropout):
        def at(self, module: nn.Module) -> Any:
            seen.append(next(name for name, part in checkpoint.model.named_modules() if part is module))
            return super().at(module)

    dropout = Counting(0.1, 0)
    batch = collate(make_store(checkpoint, config), [[0], [1]], checkpoint.start_token)
    with packed_attention_of(checkpoint.model, dropout=dropout), torch.no_grad():
        TokenLosses(checkpoint.model, dropout=dropout)(batch, 0)
    return seen


def adapted(cache: Path, name: str = "tiny_llama", **method: Any) -> tuple[Any, Checkpoint, Config]:
    """A model with adapters in its last layer alone, with checkpoint and configuration; keywords as of `method`."""
    config = replace(make_config(cache, name), method=replace(TOP, **method))
    checkpoint = load(config)
    return make_trainable(checkpoint.model, config), checkpoint, config
