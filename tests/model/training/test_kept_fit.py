"""Fits whose frozen layers' states are kept: equal to those that compute them, whoever wrote what they read."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from instruct_ablate.data.datamodule import PromptDataModule
from instruct_ablate.errors import Interrupted
from instruct_ablate.model.loading.last_loaded import SHELF
from instruct_ablate.model.training.fit import fit
from instruct_ablate.model.training.kept_fit import kept_states, shown
from instruct_ablate.model.training.layers.frozen_layers import FrozenLayers
from instruct_ablate.model.training.layers.kept_states import KeptStates
from instruct_ablate.model.training.loss import TokenLosses, packed_attention_of
from instruct_ablate.model.training.module import InstructionModule
from instruct_ablate.model.training.trainable import make_trainable
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config, MethodConfig
from tests.model.fits import (
    changed,
    first_batch,
    gradients,
    load,
    make_config,
    make_prompts,
    make_store,
    same_bits,
    weights,
)

Bits = dict[str, torch.Tensor]
TOP = MethodConfig(name="lora", layers="top:1", rank=4, alpha=8)
FULL = "training: some of the frozen layers' states are computed in every step: "
EACH_STEP = "training: the frozen layers' states are computed in every step: "


def make(cache: Path, name: str = "tiny_llama", **trainer: Any) -> Config:
    return replace(make_config(cache, name, **trainer), method=TOP)


def long_prompts(definition: str = "answer at once", count: int = 10) -> list[Prompt]:
    """Prompts of several chunks each, whose beginnings two tasks share."""
    return [
        replace(one, source=f"Definition of {number % 2}: {definition}. " * 14 + one.source)
        for number, one in enumerate(make_prompts(count))
    ]


def train(
    config: Config,
    folder: Path,
    prompts: Sequence[Prompt] | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Bits, tuple[str, ...]]:
    checkpoint = load(config, dtype)
    _, notes = fit(checkpoint, prompts or long_prompts(), config, folder)
    return weights(checkpoint), notes


def allowed(config: Config, gigabytes: float) -> Config:
    return changed(config, trainer={"frozen_cache_gb": gigabytes})


def batches(cache: Path) -> list[Path]:
    return sorted(path for path in (cache / "frozen").glob("*/[0-9][0-9]-*") if "damaged" not in path.name)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tokens that pass through frozen layers from now on, a chunk an entry."""
    original, tokens = FrozenLayers.chunk, list[int]()

    def counted(self: FrozenLayers, ids: torch.Tensor, before: Any) -> Any:
        if before or len(ids) > 2:  # two tokens tell how wide states are
            tokens.append(len(ids))
        return original(self, ids, before)

    monkeypatch.setattr(FrozenLayers, "chunk", counted)
    monkeypatch.setattr("instruct_ablate.model.training.kept_fit._agrees", lambda *_: True)
    return tokens


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("grouping", ["none", "task"])
def test_results_do_not_depend_on_what_the_store_holds(
    grouping: str, dtype: torch.dtype, tmp_path: Path, computed: list[int]
) -> None:
    config = changed(make(tmp_path / "cache"), data={"grouping": grouping})
    writer, notes = train(config, tmp_path / "writer", dtype=dtype)
    assert notes == ()
    assert computed
    assert max(computed) == 128
    computed.clear()
    reader, _ = train(config, tmp_path / "reader", dtype=dtype)
    assert not computed
    for path in batches(tmp_path / "cache")[::2]:
        shutil.rmtree(path)
    mended, _ = train(config, tmp_path / "mended", dtype=dtype)
    assert computed
    other = replace(config, cache=str(tmp_path / "other"))
    nothing, told = train(allowed(other, 1e-9), tmp_path / "nothing", dtype=dtype)
    assert told == (f"{FULL}1e-09 GB are used up (trainer.frozen_cache_gb)",)
    assert same_bits(writer, reader)
    assert same_bits(writer, mended)
    assert same_bits(writer, nothing)


def test_cells_of_one_process_try_the_same_layers_and_adapters_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[str] = []
    for module in ("loss", "kept_fit"):
        place = f"instruct_ablate.model.training.{module}._agrees"
        trial = import_module(place.removesuffix("._agrees"))._agrees

        @wraps(trial)
        def counted(*given: Any, trial: Any = trial, module: str = module, **named: Any) -> bool:
            held.append(module)
            return bool(trial(*given, **named))

        monkeypatch.setattr(place, counted)
    first = make(tmp_path / "cache")
    other_seed, other_rank = replace(first, seed=1), changed(first, method={"rank": 2})
    alone = [
        train(one, tmp_path / f"alone {at}")[0] for at, one in enumerate((first, other_seed, other_rank))
    ]
    assert held == ["loss", "kept_fit"] * 3
    held.clear()
    SHELF.open()
    try:
        told = [train(one, tmp_path / f"next {at}")[0] for at, one in enumerate((first, other_seed))]
        assert held == ["loss", "kept_fit"]
        told.append(train(other_rank, tmp_path / "next 2")[0])
        assert held == ["loss", "kept_fit"] * 2
    finally:
        SHELF.close()
    assert all(map(same_bits, told, alone))


def test_a_fit_is_made_of_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make(tmp_path / "cache")
    plain, _ = train(allowed(config, 0), tmp_path / "plain")
    kept, _ = train(config, tmp_path / "kept")
    for name, weight in plain.items():
        torch.testing.assert_close(kept[name], weight, rtol=1e-4, atol=1e-5, msg=name)
    original = KeptStates.of
    monkeypatch.setattr(KeptStates, "of", lambda self, packed: original(self, packed) * 1.5)
    found, notes = train(config, tmp_path / "noticed")
    assert same_bits(found, plain)  # a trial finds it out, and the layers are run in every step
    assert notes == (f"{EACH_STEP}of LlamaForCausalLM they cannot be run by themselves",)
    monkeypatch.setattr("instruct_ablate.model.training.kept_fit._agrees", lambda *_: True)
    assert not same_bits(train(config, tmp_path / "harmed")[0], kept)


@pytest.mark.parametrize("grouping", ["none", "task"])
@pytest.mark.parametrize("name", ["tiny_llama", "tiny_gemma3", "tiny_gpt2", "tiny_qwen3"])
def test_losses_and_gradients_are_those_of_the_whole_model(name: str, grouping: str, tmp_path: Path) -> None:
    config = changed(make(tmp_path, name, prompt_loss_weight=0.3), data={"grouping": grouping})
    checkpoint = load(config)
    model = make_trainable(checkpoint.model, config)
    with torch.no_grad():
        for weight_name, weight in model.named_parameters():
            if "lora_B" in weight_name:  # which begin at zero, and hide the gradients of the others
                weight.normal_(std=0.02, generator=torch.Generator().manual_seed(1))
    batch = first_batch(checkpoint, config).micro_batches[0]
    losses = TokenLosses(model)
    with packed_attention_of(model):
        found = []
        for kept in (None, KeptStates(FrozenLayers.of(model), None, 16)):  # type: ignore[arg-type]
            losses.kept = kept
            values = losses(batch)
            values.sum().backward()
            found.append((values.detach(), gradients(model)))
    (plain, wanted), (ours, given) = found
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-5)
    assert wanted.keys() == given.keys()
    assert wanted
    norm = torch.cat([one.flatten() for one in wanted.values()]).norm()
    apart = torch.cat([(wanted[key] - given[key]).flatten() for key in wanted]).norm()
    assert apart <= 1e-6 * norm


def test_seeds_and_variants_share_what_they_have_in_common(tmp_path: Path, computed: list[int]) -> None:
    config = make(tmp_path / "cache")
    prompts, others = long_prompts(), long_prompts("answer never")
    first = [train(config, tmp_path / "a", prompts)[0], train(config, tmp_path / "b", others)[0]]
    seen = list(computed)
    computed.clear()
    seed = replace(config, seed=1)
    second = [
        train(replace(seed, method=replace(TOP, rank=8)), tmp_path / "c", prompts)[0],
        train(seed, tmp_path / "d", others[3:])[0],
    ]
    assert seen
    assert not computed
    for given, whose, shows in zip(second, ("e", "f"), (prompts, others[3:]), strict=True):
        alone = replace(seed, method=replace(TOP, rank=8)) if whose == "e" else seed
        apart = replace(alone, cache=str(tmp_path / whose))
        assert same_bits(given, train(apart, tmp_path / f"{whose}-folder", shows)[0])
    assert not same_bits(first[0], second[0])


def test_other_base_weights_have_states_of_their_own(
    tmp_path: Path, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make(tmp_path / "cache")
    train(config, tmp_path / "one")
    before, folders = list(computed), len(list((tmp_path / "cache" / "frozen").iterdir()))
    checkpoint = load(config)
    with torch.no_grad():
        checkpoint.model.get_input_embeddings().weight.mul_(1.01)
    fit(checkpoint, long_prompts(), config, tmp_path / "other")
    assert computed == before + before
    assert (folders, len(list((tmp_path / "cache" / "frozen").iterdir()))) == (1, 2)


def test_damage_between_two_cells_is_mended(
    tmp_path: Path, computed: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    config = make(tmp_path / "cache")
    whole, _ = train(config, tmp_path / "one")
    computed.clear()
    path = batches(tmp_path / "cache")[0]
    os.truncate(path / "states", 100)
    assert same_bits(train(config, tmp_path / "two")[0], whole)
    assert computed
    assert "is damaged" in caplog.text
    computed.clear()
    assert same_bits(train(config, tmp_path / "three")[0], whole)
    assert not computed


def test_damage_while_a_cell_trains_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = make(tmp_path / "cache")
    whole, _ = train(config, tmp_path / "one")
    original = InstructionModule._step

    def harming(self: InstructionModule) -> None:
        original(self)
        if self.done == 1:
            for path in batches(tmp_path / "cache"):
                with (path / "states").open("r+b") as file:
                    file.write(b"\xff" * 64)

    monkeypatch.setattr(InstructionModule, "_step", harming)
    assert same_bits(train(config, tmp_path / "two")[0], whole)
    assert "is damaged" in caplog.text


def test_a_fit_that_goes_on_has_the_same_bits_without_its_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make(tmp_path / "cache")
    whole, _ = train(config, tmp_path / "whole")
    original = InstructionModule._step

    def interrupted(self: InstructionModule) -> None:
        original(self)
        if self.done == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(InstructionModule, "_step", interrupted)
        with pytest.raises(Interrupted):
            train(config, tmp_path / "stopped")
    shutil.rmtree(tmp_path / "cache" / "frozen")
    assert same_bits(train(config, tmp_path / "stopped")[0], whole)


WORKER = """
import sys
from pathlib import Path
from instruct_ablate.model.training.layers.frozen_layers import FrozenLayers
from tests.model.training.test_kept_fit import make, train
import torch
torch.set_num_threads(1)
tokens, original = [], FrozenLayers.chunk
def counted(self, ids, before):
    tokens.append(len(ids))
    return original(self, ids, before)
FrozenLayers.chunk = counted
bits, _ = train(make(Path(sys.argv[1])), Path(sys.argv[2]))
torch.save(bits, sys.argv[2] + ".pt")
"""


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    load(make(cache))  # which both would make
    command = [sys.executable, "-c", WORKER, str(cache)]
    both = [subprocess.Popen([*command, str(tmp_path / name)]) for name in "ab"]
    assert [one.wait() for one in both] == [0, 0]
    one, other = (torch.load(tmp_path / f"{name}.pt") for name in "ab")
    assert same_bits(one, other)
    stored = [
        (path / "keys").read_bytes()[at : at + 16]
        for path in batches(cache)
        for at in range(0, (path / "keys").stat().st_size, 16)
    ]
    assert stored
    assert len(stored) == len(set(stored))


@pytest.mark.parametrize(
    ("name", "trainer", "data", "why"),
    [
        ("tiny_llama", {"dropout": 0.1}, {}, "trainer.dropout=0.1 draws anew"),
        ("tiny_llama", {}, {"packing": False}, "data.packing=false"),
        ("tiny_t5", {}, {}, "they are kept for decoder-only models alone"),
    ],
)
def test_a_note_says_why_nothing_is_kept(
    name: str, trainer: dict[str, Any], data: dict[str, Any], why: str, tmp_path: Path
) -> None:
    config = changed(make(tmp_path / "cache", name, max_steps=1, **trainer), data=data)
    _, notes = train(config, tmp_path / "cell")
    assert [note.startswith(f"{EACH_STEP}{why}") for note in notes] == [True]
    assert not (tmp_path / "cache" / "frozen").exists()


def test_nothing_is_kept_nor_told_where_all_layers_learn_or_the_key_is_nought(tmp_path: Path) -> None:
    config = make(tmp_path / "cache", max_steps=1)
    everywhere = replace(config, method=replace(TOP, layers="all"))
    every = replace(config, method=replace(TOP, layers="top:2"))  # it has no more
    full = replace(config, method=MethodConfig("full"))
    for number, one in enumerate((everywhere, every, allowed(config, 0), full)):
        assert train(one, tmp_path / str(number))[1] == ()
    assert not (tmp_path / "cache" / "frozen").exists()


def test_what_the_rest_of_a_fit_shows_is_what_is_kept(tmp_path: Path) -> None:
    config = make(tmp_path, batch_size=4, epochs=3.0)  # 14 examples: 4 steps an epoch
    checkpoint = load(config)

    def places(first: int, **trainer: Any) -> list[int]:
        given = changed(config, trainer=trainer)
        data = PromptDataModule(make_store(checkpoint, given), given, None)
        data.first_step = first
        return [example for _, example in shown(data)]

    order = PromptDataModule(make_store(checkpoint, config), config, None).schedule.order(0)
    assert sorted(places(0)) == list(range(14))
    assert places(0, max_steps=2) == np.concatenate(order[:2]).tolist()
    assert places(1, max_steps=2) == order[1].tolist()
    assert sorted(places(3)) == list(range(14))


def test_the_states_are_let_go_behind_the_fit(tmp_path: Path) -> None:
    config = make(tmp_path / "cache")
    checkpoint = load(config)
    model = make_trainable(checkpoint.model, config)
    data = PromptDataModule(make_store(checkpoint, config), config, None)
    with packed_attention_of(model), kept_states(model, data, config, []) as kept:
        assert kept is not None
        assert kept.store is not None
        assert kept.store._files
    assert not kept.store._files


def test_a_cache_that_takes_nothing_is_told_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make(tmp_path / "cache")
    kept, _ = train(config, tmp_path / "kept")
    other = tmp_path / "other"
    other.mkdir()
    (other / "frozen").write_text("a file stands there")
    found, notes = train(replace(config, cache=str(other)), tmp_path / "unkept")
    assert same_bits(found, kept)
    assert [note.startswith(f"{FULL}cannot write {other / 'frozen'}") for note in notes] == [True]


def test_recomputed_activations_begin_above_what_is_kept(tmp_path: Path) -> None:
    config = make(tmp_path / "cache", activation_checkpointing=True)
    plain, _ = train(allowed(config, 0), tmp_path / "plain")
    kept, notes = train(config, tmp_path / "kept")
    assert notes == ()
    for name, weight in plain.items():
        torch.testing.assert_close(kept[name], weight, rtol=1e-4, atol=1e-5, msg=name)


def test_examples_that_epochs_draw_anew_are_all_kept(tmp_path: Path, computed: list[int]) -> None:
    prompts = [replace(one, references=("yes", "no", "perhaps so")) for one in long_prompts()]
    config = changed(make(tmp_path / "cache", epochs=3.0), data={"references": "every_epoch"})
    first, _ = train(config, tmp_path / "one", prompts)
    computed.clear()
    second, _ = train(config, tmp_path / "two", prompts)
    assert same_bits(first, second)
    assert not computed
