"""Every file of a cache, damaged in every way: put aside, told of and made again, or refused in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.damage import cache, campaign
from tests.damage.damages import DAMAGES

OFTEN = {
    "tokens/*/sources.bin": ("truncated", "flipped", "link"),
    "tasks/*/instances.arrow": ("truncated",),
    "models/tiny_llama-2/model.safetensors": ("flipped",),
    "downloads/natural-instructions-v2.8/tasks/task1_a.json": ("pipe", "foreign"),
    "tasks/own/*": ("garbage", "foreign"),
    "tokens/.*.lock": ("foreign", "pipe"),
    "examples/*/examples.json": ("garbage", "truncated"),
    "frozen/model/21-*/states": ("truncated", "flipped"),
}
FILES = (
    *OFTEN,
    ".frozen.lock",
    "downloads/natural-instructions-v2.8/manifest.json",
    "downloads/natural-instructions-v2.8/splits/default/train_tasks.txt",
    "downloads/natural-instructions-v2.8.lock",
    "examples/.*.lock",
    "examples/*/manifest.json",
    "fingerprints/*.json",
    "frozen/model/.21-*.lock",
    "frozen/model/.bucket-21.lock",
    "frozen/model/21-*/chunks.npy",
    "frozen/model/21-*/keys",
    "frozen/model/21-*/manifest.json",
    "models/.tiny_llama-2.lock",
    "models/tiny_llama-2/chat_template.jinja",
    "models/tiny_llama-2/config.json",
    "models/tiny_llama-2/generation_config.json",
    "models/tiny_llama-2/manifest.json",
    "models/tiny_llama-2/tokenizer.json",
    "models/tiny_llama-2/tokenizer_config.json",
    "tasks/.*.lock",
    "tasks/*/manifest.json",
    "tasks/*/tasks.json",
    "tasks/seen/*",
    "tokens/*/cut_targets",
    "tokens/*/manifest.json",
    "tokens/*/sources.npy",
    "tokens/*/targets.bin",
    "tokens/*/targets.npy",
    "tokens/*/tasks.npy",
)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with campaign.pristine(cache.SUBJECT, tmp_path_factory.mktemp("pristine")) as folder:
        yield folder


def names(pristine: Path) -> dict[str, str]:
    """The files by their names without hashes; of several of a kind, the last."""
    found = {re.sub(r"[0-9a-f]{16,}", "*", name): name for name in cache.files(pristine)}
    return {general.removeprefix("cache/"): name for general, name in found.items()}


def test_no_file_is_left_out(pristine: Path) -> None:
    alike = {"splits/default/test_tasks.txt", "tasks/task2_b.json"}  # as those of the other side
    assert set(FILES) == {name for name in names(pristine) if not any(name.endswith(one) for one in alike)}


CASES = [
    pytest.param(file, damage, marks=() if damage in OFTEN.get(file, ()) else pytest.mark.slow)
    for file in FILES
    for damage in DAMAGES
]


@pytest.mark.parametrize(("file", "damage"), CASES)
def test_it_is_made_again_or_refused(pristine: Path, file: str, damage: str) -> None:
    said = campaign.outcome(pristine, names(pristine)[file], damage, cache.SUBJECT)
    assert said == "healed" or said.startswith("refused: "), said
