from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.data.store import TokenStore, token_store
from instruct_ablate.errors import UserError
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.schema import PromptConfig

from .conftest import make_prompts, make_store


def stores(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "tokens").iterdir() if not path.name.startswith("."))


def test_holds_every_prompt_in_order(llama: Checkpoint, llama_store: TokenStore) -> None:
    prompts = make_prompts()
    assert len(llama_store) == len(prompts)
    for i, prompt in enumerate(prompts):
        assert llama_store.sources[i].tolist() == llama.tokenizer(prompt.source)["input_ids"]
        assert llama.tokenizer.decode(llama_store.targets[i], skip_special_tokens=True) == prompt.target
    assert llama_store.tasks.tolist() == [0] * 7 + [1] * 7 + [2] * 7
    assert llama_store.lengths.tolist() == [
        len(llama_store.sources[i]) + len(llama_store.targets[i]) for i in range(len(prompts))
    ]


def test_is_mapped_and_small(llama_store: TokenStore) -> None:
    assert isinstance(llama_store.sources.ids, np.memmap)
    assert llama_store.sources.ids.dtype == np.int32
    assert not llama_store.sources.ids.flags.writeable


def test_second_time_nothing_is_tokenised(
    llama: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = make_prompts()
    first = make_store(llama, prompts, tmp_path)
    monkeypatch.setattr(Encoding, "sources", lambda *_: pytest.fail("tokenised again"))
    again = make_store(llama, prompts, tmp_path)
    assert np.array_equal(first.sources.ids, again.sources.ids)
    assert first.cut_targets == again.cut_targets


def test_whatever_changes_the_tokens_changes_the_place(
    llama: Checkpoint, t5: Checkpoint, tmp_path: Path
) -> None:
    prompts = make_prompts()
    make_store(llama, prompts, tmp_path)
    make_store(t5, prompts, tmp_path)
    make_store(llama, prompts, tmp_path, max_source_length=9)
    make_store(llama, prompts, tmp_path, max_target_length=9)
    make_store(llama, prompts[::-1], tmp_path)
    make_store(llama, [replace(prompts[0], target="other"), *prompts[1:]], tmp_path)
    make_store(llama, [replace(prompts[0], task="other"), *prompts[1:]], tmp_path)
    assert len(stores(tmp_path)) == 7
    make_store(llama, [replace(prompts[0], references=("other",)), *prompts[1:]], tmp_path)
    assert len(stores(tmp_path)) == 7


def test_a_boundary_between_texts_counts(llama: Checkpoint, tmp_path: Path) -> None:
    prompt = make_prompts()[0]
    make_store(llama, [replace(prompt, source="ab", target="c")], tmp_path)
    make_store(llama, [replace(prompt, source="a", target="bc")], tmp_path)
    assert len(stores(tmp_path)) == 2


def test_cut_targets_are_counted(llama: Checkpoint, tmp_path: Path) -> None:
    store = make_store(llama, make_prompts(), tmp_path, max_target_length=3)
    assert store.cut_targets == 12  # "no, it is not", every other prompt of each task
    assert store.targets.lengths.max() == 3


def test_many_blocks_are_one_store(
    llama: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = make_prompts()
    whole = make_store(llama, prompts, tmp_path / "a")
    monkeypatch.setattr("instruct_ablate.data.store.BLOCK", 4)
    cut = make_store(llama, prompts, tmp_path / "b")
    assert np.array_equal(whole.sources.ids, cut.sources.ids)
    assert np.array_equal(whole.targets.offsets, cut.targets.offsets)


def test_an_interrupted_write_leaves_nothing(
    llama: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Encoding, "targets", interrupt)
        with pytest.raises(KeyboardInterrupt):
            make_store(llama, make_prompts(), tmp_path)
    assert stores(tmp_path) == []
    assert len(make_store(llama, make_prompts(), tmp_path)) == 21


def test_a_later_cell_tokenises_nothing(
    llama: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [replace(p, source=f"{i} {p.source}") for i, p in enumerate(make_prompts(10, 50) * 20)]
    make_store(llama, prompts, tmp_path)
    monkeypatch.setattr(Encoding, "sources", None)
    monkeypatch.setattr(Encoding, "targets", None)
    assert len(make_store(llama, prompts, tmp_path)) == 10_000


def test_no_prompts_are_an_error(llama: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to train on"):
        make_store(llama, [], tmp_path)


@pytest.mark.parametrize("key", ["max_source_length", "max_target_length"])
def test_a_limit_below_one_is_an_error(llama: Checkpoint, tmp_path: Path, key: str) -> None:
    config = PromptConfig(template="plain", **{key: 0})
    with pytest.raises(UserError, match=f"{key}"):
        token_store(make_prompts(), Encoding(llama.tokenizer, False), config, tmp_path)


@pytest.mark.parametrize(
    "name", ["sources.bin", "sources.npy", "targets.bin", "targets.npy", "tasks.npy", "cut_targets"]
)
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_store_cut_short_is_built_again(llama: Checkpoint, tmp_path: Path, name: str, share: float) -> None:
    before = make_store(llama, make_prompts(), tmp_path)
    path = tmp_path / "tokens" / stores(tmp_path)[0] / name
    ids, lengths = before.sources.ids.copy(), before.lengths
    os.truncate(path, int(path.stat().st_size * share))
    after = make_store(llama, make_prompts(), tmp_path)
    assert np.array_equal(after.sources.ids, ids)
    assert np.array_equal(after.lengths, lengths)


def test_tokens_that_do_not_fit_their_offsets_are_built_again(
    llama: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the manifest says: a power cut before it was checked could leave such a file."""
    before = make_store(llama, make_prompts(), tmp_path)
    lengths = before.lengths
    folder = tmp_path / "tokens" / stores(tmp_path)[0]
    np.save(folder / "sources.npy", np.load(folder / "sources.npy")[:-1])
    with monkeypatch.context() as patch:
        patch.setattr("instruct_ablate.disk.prepared._check", lambda *_, **__: None)
        assert np.array_equal(make_store(llama, make_prompts(), tmp_path).lengths, lengths)
