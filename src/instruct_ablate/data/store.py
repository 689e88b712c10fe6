"""The token store: prompts tokenised once, on disk, and mapped into memory by every later cell."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.disk.prepared import prepared_as
from instruct_ablate.errors import UserError
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import PromptConfig
from instruct_ablate.terminal import make_console

FORMAT = 1  # raise it when the same prompts would be stored differently
BLOCK = 1024  # prompts tokenised together
WORTH_A_BAR = 4 * BLOCK
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ragged:
    """Sequences of unequal length: sequence i is ids[offsets[i]:offsets[i + 1]]; `ids` are mapped, int32."""

    ids: npt.NDArray[np.int32]
    offsets: Integers

    def __getitem__(self, index: int) -> npt.NDArray[np.int32]:
        """Return one sequence, without copying."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> Integers:
        """The lengths of all sequences."""
        return np.diff(self.offsets)


@dataclass(frozen=True, slots=True)
class Picked:
    """Some of the sequences, by number."""

    whole: Ragged
    rows: Integers
    lengths: Integers

    @classmethod
    def of(cls, given: Ragged | Picked, rows: Integers) -> Picked:
        """Pick rows."""
        whole, rows = (given, rows) if isinstance(given, Ragged) else (given.whole, given.rows[rows])
        return cls(whole, rows, whole.offsets[rows + 1] - whole.offsets[rows])

    def __getitem__(self, index: int) -> npt.NDArray[np.int32]:
        """Return one sequence, without copying."""
        return self.whole[int(self.rows[index])]


@dataclass(frozen=True, slots=True)
class TokenStore:
    """Tokenised prompts, in their order.

    `tasks` numbers each prompt's task by first appearance; `cut_targets` counts the targets that were longer
    than `prompt.max_target_length` and lost their end (cut sources are told by `Prompt.truncated`).
    """

    sources: Ragged | Picked
    targets: Ragged | Picked
    tasks: Integers
    cut_targets: int
    encoder_decoder: bool

    def __len__(self) -> int:
        """Number of prompts."""
        return len(self.tasks)

    @property
    def lengths(self) -> Integers:
        """Tokens of each prompt, source and target."""
        return self.sources.lengths + self.targets.lengths

    @property
    def checksum(self) -> int:
        """A sum of all tokens in their order; it reads them once, some gigabytes a second."""
        parts: list[npt.NDArray[Any]] = [self.tasks]
        for given in (self.sources, self.targets):
            whole = given if isinstance(given, Ragged) else given.whole
            parts += [whole.ids, whole.offsets]
            parts += [] if isinstance(given, Ragged) else [given.rows]
        total = 0
        for part in parts:
            total = zlib.crc32(np.ascontiguousarray(part).data, total)
        return total


def token_store(
    prompts: Sequence[Prompt], encoding: Encoding, config: PromptConfig, cache: Path
) -> TokenStore:
    """Return the prompts' tokens, tokenising them unless the cache has them (same text, same tokenizer)."""
    key = token_key(prompts, encoding, config)
    return stored_tokens(key, len(prompts), lambda: prompts, encoding, config, cache)


def stored_tokens(
    key: str,
    count: int,
    prompts: Callable[[], Sequence[Prompt]],
    encoding: Encoding,
    config: PromptConfig,
    cache: Path,
) -> TokenStore:
    """Return the tokens of `count` prompts by their key (`token_key`); these are made where the cache lacks them."""
    folder = cache / "tokens" / key[:32]
    store = prepared_as(
        folder,
        lambda unfinished: _write(unfinished, prompts(), encoding, config),
        lambda whole: _open(whole, encoding.encoder_decoder),
    )
    # A key is read from a cache too (`training_data`): its store must be of as many prompts as was noted.
    if len(store) != count:
        raise RuntimeError(f"{folder} holds {len(store)} prompts, {count} were asked for")
    return store


def token_key(prompts: Sequence[Prompt], encoding: Encoding, config: PromptConfig) -> str:
    """Hash all that decides what is stored; refuse what cannot be."""
    if not prompts:
        raise UserError("there is nothing to train on: the training tasks gave no prompt.")
    if min(config.max_source_length, config.max_target_length) < 1:
        raise UserError("prompt.max_source_length and prompt.max_target_length must be at least 1.")
    limits = [config.max_source_length, config.max_target_length]
    digest = hashlib.sha256(json.dumps([FORMAT, encoding.fingerprint(), *limits]).encode())
    for prompt in prompts:
        texts = [text.encode() for text in (prompt.task, prompt.source, prompt.target)]
        # With their lengths, so that no other division of the same text has the same hash.
        digest.update(b"%d %d %d " % tuple(len(text) for text in texts))
        digest.update(b"".join(texts))
    return digest.hexdigest()


def _write(folder: Path, prompts: Sequence[Prompt], encoding: Encoding, config: PromptConfig) -> None:
    """Tokenise block by block; memory stays flat however many prompts there are."""
    lengths: dict[str, list[int]] = {"sources": [], "targets": []}
    cut = 0
    with (folder / "sources.bin").open("wb") as sources, (folder / "targets.bin").open("wb") as targets:
        for block in _blocks(prompts):
            source_ids = encoding.sources([prompt.source for prompt in block], config.max_source_length)
            target_ids, was_cut = encoding.targets([p.target for p in block], config.max_target_length)
            lengths["sources"] += _append(sources, source_ids)
            lengths["targets"] += _append(targets, target_ids)
            cut += sum(was_cut)
    for name, values in lengths.items():
        np.save(folder / f"{name}.npy", np.concatenate([[0], np.cumsum(values, dtype=np.int64)]))
    np.save(folder / "tasks.npy", _task_numbers(prompts))
    (folder / "cut_targets").write_text(str(cut))


def _task_numbers(prompts: Sequence[Prompt]) -> Integers:
    """Number the tasks by first appearance."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(prompt.task, len(numbers)) for prompt in prompts], dtype=np.int64)


def _append(file: Any, sequences: Sequence[Sequence[int]]) -> list[int]:
    """Write the ids of a block; return their lengths."""
    lengths = [len(ids) for ids in sequences]
    flat = np.fromiter((token for ids in sequences for token in ids), dtype=np.int32, count=sum(lengths))
    flat.tofile(file)
    return lengths


def _blocks(prompts: Sequence[Prompt]) -> Iterator[Sequence[Prompt]]:
    """Cut the prompts into blocks, with a progress bar where there are many."""
    from rich.progress import track

    blocks = [prompts[start : start + BLOCK] for start in range(0, len(prompts), BLOCK)]
    quiet = len(prompts) < WORTH_A_BAR
    text = f"tokenising {len(prompts):,} prompts"
    return iter(track(blocks, text, console=make_console(stderr=True), disable=quiet))


def _open(folder: Path, encoder_decoder: bool) -> TokenStore:
    """Map a finished store; `ValueError` where its parts do not fit together."""
    cut = int((folder / "cut_targets").read_text())
    tasks = np.load(folder / "tasks.npy")
    return TokenStore(
        _ragged(folder, "sources", len(tasks)),
        _ragged(folder, "targets", len(tasks)),
        tasks,
        cut,
        encoder_decoder,
    )


def _ragged(folder: Path, name: str, count: int) -> Ragged:
    ids = np.memmap(folder / f"{name}.bin", dtype=np.int32, mode="r")
    offsets = np.load(folder / f"{name}.npy")
    # A `ValueError` says that it is damaged: `prepared_as` then builds it again.
    if (
        len(offsets) != count + 1
        or offsets[0] != 0
        or offsets[-1] != len(ids)
        or (np.diff(offsets) < 0).any()
    ):
        raise ValueError(f"{name}: {len(ids)} tokens and their offsets do not fit together")
    return Ragged(ids, offsets)
