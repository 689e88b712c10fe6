"""The store of frozen layers' states: what is read is what was written, or it is not there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from instruct_ablate.model.state_store import BUCKETS, StateStore, bucket_of, chain, make_store

WIDTH = 6


def opened(cache: Path, limit: int = 10**6, name: str = "model") -> StateStore:
    return make_store(cache, name, WIDTH, torch.bfloat16, limit)


def filled(cache: Path, limit: int = 10**6, name: str = "model") -> tuple[StateStore, list[torch.Tensor]]:
    store = opened(cache, limit, name)
    states = [torch.randn(tokens, WIDTH).bfloat16() for tokens in (4, 4, 3)]
    store.add(5, keys(), [4, 4, 3], iter(states))
    return store, states


def keys() -> list[bytes]:
    return chain(np.arange(11, dtype=np.int32), 4)


def only_batch(cache: Path) -> Path:
    (path,) = (cache / "frozen" / "model").glob("05-*")
    return path


def test_a_chunk_is_known_by_all_tokens_up_to_its_end() -> None:
    ids = np.arange(11, dtype=np.int32)
    other = ids.copy()
    other[5] += 1
    one, changed = chain(ids, 4), chain(other, 4)
    assert len(one) == 3
    assert len(set(one)) == 3
    assert [a == b for a, b in zip(one, changed, strict=True)] == [True, False, False]
    assert chain(ids[:8], 4) == one[:2]
    assert chain(ids[:10], 4)[2] != one[2]
    assert chain(np.array([0, 1, 2, 3, 0, 1, 2, 3], dtype=np.int32), 4)[1] != one[0]
    assert 0 <= bucket_of(one) < BUCKETS
    assert bucket_of(one) == bucket_of(changed)


def test_others_read_what_one_has_written(tmp_path: Path) -> None:
    writer, states = filled(tmp_path)
    reader = opened(tmp_path)
    assert reader.read(keys()[0]) is None
    reader.refresh([4])
    assert keys()[0] not in reader
    reader.refresh([5])
    for store in (writer, reader):
        for key, wanted in zip(keys(), states, strict=True):
            read = store.read(key)
            assert read is not None
            assert torch.equal(read, wanted)


@pytest.mark.parametrize("harm", ["cut", "flipped", "no keys", "a folder"])
def test_damage_is_put_aside_and_written_again(
    harm: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path)
    path = only_batch(tmp_path)
    content = (path / "states").read_bytes()
    if harm == "cut":
        (path / "states").write_bytes(content[:-1])
    elif harm == "flipped":
        (path / "states").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif harm == "no keys":
        (path / "keys").unlink()
    else:
        (path / "states").unlink()
        (path / "states").mkdir()
    store = opened(tmp_path)
    store.refresh([5])
    assert keys()[0] not in store
    assert "is damaged" in caplog.text
    assert path.with_name(f"{path.name}.damaged-1").is_dir()
    _, states = filled(tmp_path)
    store.refresh([5])
    read = store.read(keys()[2])
    assert read is not None
    assert torch.equal(read, states[2])


@pytest.mark.parametrize("cut", [True, False])
def test_damage_while_it_is_open_is_no_wrong_number(cut: bool, tmp_path: Path) -> None:
    store, states = filled(tmp_path)
    with (only_batch(tmp_path) / "states").open("r+b") as file:
        if cut:
            file.truncate(9 * store.row)
        else:
            file.seek(9 * store.row)
            file.write(b"\xff\xff")
    first = store.read(keys()[0])
    assert first is not None
    assert torch.equal(first, states[0])
    assert store.read(keys()[2]) is None
    assert keys()[0] not in store  # the whole batch is put aside
    assert store.read(keys()[0]) is None


def test_no_more_is_kept_than_is_allowed_and_nothing_computed_for_it(tmp_path: Path) -> None:
    first, _ = filled(tmp_path, limit=140)  # 11 tokens of 12 bytes are 132
    assert first.full is None
    second = opened(tmp_path, 140, "another model")

    def never() -> object:
        raise AssertionError("computed for nothing")
        yield

    second.add(3, keys(), [4, 4, 3], never())  # type: ignore[arg-type]
    assert second.full is not None
    assert "used up" in second.full
    assert keys()[0] not in second


def test_what_is_being_written_takes_its_room(tmp_path: Path) -> None:
    first, second = opened(tmp_path, 140), opened(tmp_path, 140, "another model")

    def slowly() -> Iterator[torch.Tensor]:
        yield torch.zeros(4, WIDTH)
        second.add(3, keys(), [4, 4, 3], iter(()))  # 132 bytes, too, while the first has not got its name
        assert second.full is not None
        yield from (torch.zeros(4, WIDTH), torch.zeros(3, WIDTH))

    first.add(5, keys(), [4, 4, 3], slowly())
    assert first.full is None
    assert keys()[2] in first
    assert sum(path.stat().st_size for path in (tmp_path / "frozen").rglob("states")) == 132


def test_what_a_killed_process_was_writing_gives_way_to_the_same_batch(tmp_path: Path) -> None:
    filled(tmp_path)
    whole = only_batch(tmp_path)
    whole.rename(whole.with_name(f".{whole.name}.unfinished"))
    other, _ = filled(tmp_path, 140, "another model")
    assert other.full is not None
    again, _ = filled(tmp_path, 140)
    assert again.full is None
    assert keys()[0] in again


def test_what_nobody_has_used_for_a_day_gives_way(tmp_path: Path) -> None:
    filled(tmp_path)
    old = only_batch(tmp_path)
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    second, _ = filled(tmp_path, 140, "another model")
    assert second.full is None
    assert keys()[0] in second
    assert not old.exists()


def test_a_use_is_remembered(tmp_path: Path) -> None:
    filled(tmp_path)
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(only_batch(tmp_path), (long_ago, long_ago))
    opened(tmp_path).refresh([5])
    second, _ = filled(tmp_path, 140, "another model")
    assert second.full is not None
    assert only_batch(tmp_path).is_dir()


def test_a_disk_that_takes_nothing_is_told_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", refuse)
    store.add(
        5, keys(), [4, 4, 3], iter([torch.zeros(4, WIDTH), torch.zeros(4, WIDTH), torch.zeros(3, WIDTH)])
    )
    assert store.full is not None
    assert "disk is full" in store.full
    assert keys()[0] not in store


HOLDER = """
import sys, time
from pathlib import Path
import torch
from instruct_ablate.model.state_store import make_store
store = make_store(Path(sys.argv[1]), "model", 6, torch.bfloat16, 10**6)
with store.filling(5, True) as mine:
    print(mine, flush=True)
    sys.stdin.readline()
"""


def test_a_bucket_is_filled_by_one_process_at_a_time(tmp_path: Path) -> None:
    store = opened(tmp_path)
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        with store.filling(5, wait=False) as mine:
            assert not mine
        with store.filling(6, wait=False) as mine:
            assert mine
        holder.communicate("\n")
    with store.filling(5, wait=True) as mine:
        assert mine
