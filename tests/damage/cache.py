"""A cache with all that one holds, and a cell's use of it: real tasks, tokens and weights, in milliseconds."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from instruct_ablate.cell.run.training_data import training_data
from instruct_ablate.data.encoding import Encoding
from instruct_ablate.data.examples import Examples
from instruct_ablate.data.store import token_store
from instruct_ablate.disk.whole_files import remove
from instruct_ablate.grid.planning.prepare import verify
from instruct_ablate.instruction.context import Context
from instruct_ablate.model.loading.checkpoint import checkpoint_fingerprint, load_checkpoint
from instruct_ablate.model.loading.tokenizer import TokenizerTokens
from instruct_ablate.model.state_store import bucket_of, bytes_of, chain, make_store
from instruct_ablate.prompt.build import build_prompts
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config, ModelConfig, PromptConfig, TasksConfig
from instruct_ablate.tasks.collection import read_tasks, reader
from instruct_ablate.tasks.readers import download
from instruct_ablate.tasks.task import TaskCollection
from tests.conftest import make_task
from tests.damage.damages import Subject
from tests.tasks.layout import write_collection

TASKS = (TasksConfig("natural_instructions"), TasksConfig("tests.damage.cache.own_tasks"))
MODEL = ModelConfig("tiny_llama", source="random")
BUILT = (
    "downloads",
    "models",
    "tasks",
    "tokens",
    "examples",
    "frozen/*",
)  # where nothing is put aside without a word


@reader
def own_tasks(config: TasksConfig) -> TaskCollection:
    """A reader of one's own, with a content hash of its own."""
    return TaskCollection("own", (make_task("a"),), (make_task("b"),), "named")


def replace_origins(patch: pytest.MonkeyPatch) -> None:
    """Let downloads come from a folder; files are at rest at once, so that what is known of them is noted."""
    patch.setattr(download, "_clone", lambda url, tag, to: shutil.copytree(to.parents[3] / "origin", to))
    patch.setattr(download, "_git", lambda *words: "0" * 40)
    patch.setattr("instruct_ablate.disk.file_hash.SETTLED", -60.0)


def make(folder: Path) -> None:
    """Make what the cache is made of, and the cache, by using it."""
    write_collection(folder / "origin", {"task1_a": {}}, {"task2_b": {}})
    (folder / "origin" / ".git").mkdir()
    (folder / "own_model").mkdir()
    (folder / "own_model" / "model.safetensors").write_bytes(b"weights")
    (folder / "own_model" / "config.json").write_text("{}")
    (folder / "expected").write_text(use(folder))


def files(folder: Path) -> Iterator[str]:
    """Name every file of the cache."""
    for path in sorted((folder / "cache").rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder))


def unlock(path: Path) -> None:
    """Take away what a damaged lock guards: nobody takes it otherwise."""
    if path.suffix == ".lock":
        remove(path.with_name(path.stem.removeprefix(".")))


def use(folder: Path) -> str:
    """Read, tokenise and load as a cell does; return the hash of all that training would see."""
    cache, total = folder / "cache", hashlib.sha256()
    checkpoint = load_checkpoint(MODEL, torch.float32, cache)
    for name, weight in checkpoint.model.state_dict().items():
        total.update(name.encode() + weight.numpy().tobytes())
    own = ModelConfig("own", path=str(folder / "own_model"))
    total.update(checkpoint_fingerprint(own, cache).encode())
    for tasks in TASKS:
        collection = read_tasks(tasks, cache)
        seen = [(task, tuple(task.instances)) for task in (*collection.train, *collection.test)]
        total.update(repr((collection.content_hash, seen)).encode())
        config = Config(tasks=tasks, prompt=PromptConfig("tk_instruct"), cache=str(cache))
        context = Context.of(config, collection, "train")
        tokens = TokenizerTokens(checkpoint.tokenizer)
        prompts = build_prompts(collection.train, config.instruction, config.prompt, tokens, context)
        encoding = Encoding(checkpoint.tokenizer, False)
        examples, notes = training_data(config, collection, encoding, partial(_made, prompts))
        total.update(repr((len(examples), notes)).encode())
        kept = isinstance(examples, Examples)
        store = examples.open() if kept else token_store(prompts, encoding, config.prompt, cache)
        for array in (store.sources.ids, store.lengths, store.targets.ids, store.tasks):
            total.update(array.tobytes())
    for states in _states(cache):
        total.update(bytes_of(states))
    return total.hexdigest()


def _made(prompts: Sequence[Prompt]) -> tuple[Sequence[Prompt], tuple[str, ...]]:
    return prompts, ("what was met",)


def _states(cache: Path) -> Iterator[torch.Tensor]:
    """Give what frozen layers give, from the store where it is there and whole, as training does."""
    store = make_store(cache, "model", 8, torch.bfloat16, 10**6)
    keys = chain(np.arange(11, dtype=np.int32), 4)
    made = [torch.arange(tokens * 8).reshape(tokens, 8).bfloat16() for tokens in (4, 4, 3)]
    bucket = bucket_of(keys)
    try:
        store.refresh([bucket])
        with store.filling(bucket, True):
            store.refresh([bucket])
            new = [at for at, key in enumerate(keys) if key not in store]
            if new:
                lengths = [len(made[at]) for at in new]
                store.add(bucket, [keys[at] for at in new], lengths, (made[at] for at in new))
        for key, states in zip(keys, made, strict=True):
            found = store.read(key)
            yield states if found is None else found
    finally:
        store.close()


def used(folder: Path) -> str:
    """Use a damaged cache, look at all of it, and use it again: right both times, and the damage was told."""
    said = _Said()
    logging.getLogger("instruct_ablate").addHandler(said)
    first = use(folder)
    said.text += "\n".join(verify(folder / "cache"))
    if {first, use(folder)} != {(folder / "expected").read_text()}:
        return "wrong"
    aside = [path for kind in BUILT for path in (folder / "cache").glob(f"{kind}/*.damaged-*")]
    silent = [path.name for path in aside if path.name.rpartition(".damaged-")[0] not in said.text]
    return f"wrong: nothing is said of {silent}" if silent else "healed"


class _Said(logging.Handler):
    """What the log says."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += record.getMessage() + "\n"


SUBJECT = Subject(replace_origins, make, files, used, unlock)
