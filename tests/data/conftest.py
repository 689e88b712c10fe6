"""Tiny checkpoints and prompts for the data tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.data.store import TokenStore, token_store
from instruct_ablate.model.loading.checkpoint import Checkpoint, load_checkpoint
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import ModelConfig, PromptConfig


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all data tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def llama(cache: Path) -> Checkpoint:
    """The tiny decoder-only model."""
    return load_checkpoint(ModelConfig(name="tiny_llama", source="random"), torch.float32, cache)


@pytest.fixture(scope="session")
def t5(cache: Path) -> Checkpoint:
    """The tiny encoder-decoder model."""
    return load_checkpoint(ModelConfig(name="tiny_t5", source="random"), torch.float32, cache)


@pytest.fixture(scope="session")
def opt(cache: Path) -> Checkpoint:
    """The tiny decoder-only model whose tokenizer begins texts with their end token."""
    return load_checkpoint(ModelConfig(name="tiny_opt", source="random"), torch.float32, cache)


def make_prompts(tasks: int = 3, each: int = 7) -> list[Prompt]:
    """Prompts of unequal length, task after task; those of a task share their definition."""
    return [
        Prompt(
            task=f"task{task}",
            category="Test",
            kind="classification",
            instance_id=f"{task}-{i}",
            source=f"Definition: Say yes or no to number {task}.\n\nInput: {'very ' * i}good {i}?\nOutput: ",
            references=("yes",),
            target="yes" if i % 2 else "no, it is not",
        )
        for task in range(tasks)
        for i in range(each)
    ]


def make_store(checkpoint: Checkpoint, prompts: list[Prompt], cache: Path, **limits: int) -> TokenStore:
    """Tokenise prompts."""
    encoding = Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder)
    return token_store(prompts, encoding, PromptConfig(template="plain", **limits), cache)


@pytest.fixture(scope="session")
def llama_store(llama: Checkpoint, cache: Path) -> TokenStore:
    """Decoder-only tokens of 21 prompts of 3 tasks."""
    return make_store(llama, make_prompts(), cache)


@pytest.fixture(scope="session")
def t5_store(t5: Checkpoint, cache: Path) -> TokenStore:
    """Encoder-decoder tokens of the same."""
    return make_store(t5, make_prompts(), cache)
