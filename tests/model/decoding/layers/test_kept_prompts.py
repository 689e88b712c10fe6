"""Answers with what the lower layers make of test prompts read from the store: the bits of those that compute it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from instruct_ablate.cell.state.canonical import effective
from instruct_ablate.model.adapters import bare, decoder_layers, merged
from instruct_ablate.model.decoding.layers.kept_prompts import _Noted, _tried, kept_prompts
from instruct_ablate.model.decoding.predict import predict
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.model.lower_layers import LowerLayers
from instruct_ablate.model.state_store import StateStore
from instruct_ablate.model.training.lora import adapt
from instruct_ablate.prompt.prompt import Prediction, Prompt
from instruct_ablate.schema import BudgetConfig, Config, MethodConfig
from tests.model.decoding_cases import LABELS, make_checkpoint, make_config, make_prompts

TOP = MethodConfig(name="lora", layers="top:1", rank=4, alpha=8)
MODELS = ("tiny_llama", "tiny_gemma3", "tiny_qwen3", "tiny_gpt2")
WAYS = ("greedy", "constrained", "rank")


def top(cache: Path, decoding: str = "greedy", gigabytes: float = 1.0) -> Config:
    config = make_config(decoding, batch_tokens=130)
    config.method, config.cache = TOP, str(cache)
    config.trainer.frozen_cache_gb = gigabytes
    return config


def prompts_of(decoding: str = "greedy", count: int = 12) -> list[Prompt]:
    """Prompts whose references are labels, but for those of one task."""
    made = make_prompts(2, count, LABELS if decoding != "greedy" else None)
    return [replace(one, references=("no idea", "yes")) if one.task == "task1" else one for one in made]


def answers(
    checkpoint: Checkpoint,
    prompts: Sequence[Prompt],
    config: Config,
    finished: frozenset[tuple[str, str]] = frozenset(),
) -> dict[tuple[str, str], Prediction]:
    found = predict(checkpoint, prompts, config, finished, likelihoods=True)
    return {(one.prompt.task, one.prompt.instance_id): one for one in found}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Callable[[Checkpoint], list[int]]:
    """Counts the tokens that pass through a model's first layer from now on, those of trials left out."""

    def watch(checkpoint: Checkpoint) -> list[int]:
        tokens: list[int] = []
        layer = next(iter(decoder_layers(bare(checkpoint.model)).values()))
        part = next(one for name, one in layer.named_modules() if name in ("input_layernorm", "ln_1"))
        part.register_forward_hook(lambda _, given, __: tokens.append(given[0].shape[1]))
        monkeypatch.setattr("instruct_ablate.model.decoding.engine_native.is_native", lambda _: True)
        return tokens

    return watch


def entries(cache: Path) -> list[Path]:
    return sorted(path for path in (cache / "frozen").glob("*/[0-9][0-9]-*") if "damaged" not in path.name)


@pytest.mark.parametrize("decoding", WAYS)
@pytest.mark.parametrize("name", MODELS)
def test_answers_do_not_depend_on_what_is_kept(
    name: str, decoding: str, tmp_path: Path, read: Callable[[Checkpoint], list[int]]
) -> None:
    checkpoint, prompts = make_checkpoint(name, tmp_path), prompts_of(decoding)
    passed = read(checkpoint)

    def asked(config: Config) -> int:
        passed.clear()
        assert answers(checkpoint, prompts, config) == plain
        return sum(passed)

    plain = answers(checkpoint, prompts, top(tmp_path / "off", decoding, 0))
    assert len(plain) == len(prompts)
    assert all(one.likelihoods for one in plain.values())
    assert not (tmp_path / "off").exists()
    kept = top(tmp_path / "kept", decoding)
    kept_prompts(bare(checkpoint.model), kept)  # the trial
    wrote = asked(kept)
    assert entries(tmp_path / "kept")
    reading = asked(kept)
    assert wrote - reading > 5 * len(prompts)  # what is left: what follows the prompts
    for path in entries(tmp_path / "kept")[::2]:
        shutil.rmtree(path)
    assert reading < asked(kept) < wrote
    assert asked(kept) == reading
    size = sum((path / "states").stat().st_size for path in entries(tmp_path / "kept"))
    assert asked(top(tmp_path / "half", decoding, size * 0.6e-9)) == wrote
    assert 1 <= len(entries(tmp_path / "half")) < len(entries(tmp_path / "kept"))
    assert asked(top(tmp_path / "nothing", decoding, 1e-9)) == wrote


def test_what_is_read_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, config = make_checkpoint("tiny_llama", tmp_path), top(tmp_path / "kept")
    plain = answers(checkpoint, prompts_of(), config)
    original = StateStore.read
    monkeypatch.setattr(
        StateStore, "read", lambda self, key: None if (one := original(self, key)) is None else one * 1.5
    )
    assert answers(checkpoint, prompts_of(), config) != plain


def test_damage_is_said_and_mended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint, config = make_checkpoint("tiny_llama", tmp_path), top(tmp_path / "kept")
    whole, paths = answers(checkpoint, prompts_of(), config), entries(tmp_path / "kept")
    for path, harm in zip(paths, (_cut, _flip, _hide), strict=False):
        harm(path / "states")
    assert answers(checkpoint, prompts_of(), config) == whole
    assert caplog.text.count("is damaged") == min(3, len(paths))
    caplog.clear()
    assert answers(checkpoint, prompts_of(), config) == whole
    assert entries(tmp_path / "kept") == paths
    assert "is damaged" not in caplog.text


def _cut(path: Path) -> None:
    os.truncate(path, 100)


def _flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")


def _hide(path: Path) -> None:
    path.unlink()


def test_rot_between_opening_and_reading_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint, config = make_checkpoint("tiny_llama", tmp_path), top(tmp_path / "kept")
    whole = answers(checkpoint, prompts_of(), config)
    original = StateStore.look

    def harming(self: StateStore, bucket: int, keys: Sequence[bytes]) -> None:
        original(self, bucket, keys)
        for path in self._files:
            _flip(
                path / "states"
            )  # the last part: a layer's keys and values of the rows, when all else is taken

    monkeypatch.setattr(StateStore, "look", harming)
    assert answers(checkpoint, prompts_of(), config) == whole
    assert "is damaged" in caplog.text


def cells(cache: Path, dtype: torch.dtype) -> Iterator[tuple[Checkpoint, Config]]:
    """Give the cells of a study: the untuned one, and adapters of two ranks, folded in and beside the weights."""
    for rank, fold in ((0, False), (8, True), (16, False)):
        checkpoint, config = make_checkpoint("tiny_llama", cache), top(cache)
        config.method = replace(TOP, rank=rank or 8)
        model = checkpoint.model.to(dtype)
        if rank:
            model = adapt(model, config.method, 0)
            with torch.no_grad():
                for name, weight in model.named_parameters():
                    if "lora_B" in name:
                        weight.normal_(std=0.3, generator=torch.Generator().manual_seed(rank))
            model = merged(model) if fold else model
        yield replace(checkpoint, model=model), config


@pytest.mark.parametrize("decoding", WAYS)
def test_cells_share_it_whatever_they_learned(
    decoding: str, tmp_path: Path, read: Callable[[Checkpoint], list[int]]
) -> None:
    seen, counts = [], []
    for dtype in (torch.float32, torch.bfloat16):
        for checkpoint, config in cells(tmp_path, dtype):
            off = replace(config, trainer=replace(config.trainer, frozen_cache_gb=0))
            plain = answers(checkpoint, prompts_of(decoding), off)
            passed = read(checkpoint)
            assert answers(checkpoint, prompts_of(decoding), config) == plain
            seen.append(tuple(plain.values()))
            counts.append(sum(passed))
    assert len(set(map(str, seen))) == len(seen)
    for wrote, *others in (counts[:3], counts[3:]):
        assert all(one < wrote - 100 for one in others)
    assert len(list((tmp_path / "frozen").iterdir())) == 2  # of two precisions


@pytest.mark.parametrize("decoding", WAYS)
def test_an_untuned_model_keeps_it_for_others_where_it_is_told(
    decoding: str, tmp_path: Path, read: Callable[[Checkpoint], list[int]]
) -> None:
    (untuned, config), (trained, _), _ = cells(tmp_path, torch.bfloat16)

    def asked(checkpoint: Checkpoint, config: Config) -> int:
        off = replace(config, trainer=replace(config.trainer, frozen_cache_gb=0))
        plain, passed = answers(checkpoint, prompts_of(decoding), off), read(checkpoint)
        assert answers(checkpoint, prompts_of(decoding), config) == plain
        return sum(passed)

    nothing = replace(config, data_budget=BudgetConfig(0), evaluation=replace(config.evaluation))
    alone = effective(nothing)
    assert alone.method.name == "full"
    asked(untuned, alone)
    assert not (tmp_path / "frozen").exists()
    told = effective(replace(nothing, trainer=replace(config.trainer, keep_below=TOP.layers)))
    wrote = asked(untuned, told)
    assert entries(tmp_path)
    before = entries(tmp_path)
    assert asked(trained, config) < wrote - 100
    assert asked(untuned, told) < wrote - 100
    assert entries(tmp_path) == before


def test_weights_that_were_trained_are_kept_for_nobody(tmp_path: Path) -> None:
    config = top(tmp_path)
    config = replace(config, method=MethodConfig("full"), trainer=replace(config.trainer, keep_below="top:1"))
    assert config.data_budget.instances_per_task != 0
    assert kept_prompts(make_checkpoint("tiny_llama", tmp_path).model, effective(config)) is None


def test_resumed_permuted_and_of_two_tests(tmp_path: Path) -> None:
    checkpoint, config = make_checkpoint("tiny_llama", tmp_path), top(tmp_path / "kept")
    prompts, others = prompts_of(), [replace(one, source=f"Or {one.source}") for one in prompts_of()]
    off = top(tmp_path / "off", gigabytes=0)
    plain, apart = (answers(checkpoint, some, off) for some in (prompts, others))
    half = frozenset(list(plain)[::2])
    assert answers(checkpoint, prompts, config, half) == {k: v for k, v in plain.items() if k not in half}
    assert answers(checkpoint, others, config) == apart
    assert answers(checkpoint, prompts, config) == plain
    assert answers(checkpoint, prompts[::-1], config) == plain
    assert answers(checkpoint, prompts[5:], config) == answers(checkpoint, prompts[5:], off)


def test_other_weights_below_have_an_own_place_those_above_have_not(tmp_path: Path) -> None:
    checkpoint, config = make_checkpoint("tiny_llama", tmp_path), top(tmp_path / "kept")
    for at, layer in enumerate(reversed(decoder_layers(checkpoint.model).values())):
        answers(checkpoint, prompts_of(count=3), config)
        assert len(list((tmp_path / "kept" / "frozen").iterdir())) == max(1, at)
        with torch.no_grad():
            next(layer.parameters()).mul_(1.01)
    answers(checkpoint, prompts_of(count=3), config)
    assert len(list((tmp_path / "kept" / "frozen").iterdir())) == 2


def test_a_cache_that_takes_nothing_harms_nothing(tmp_path: Path) -> None:
    checkpoint = make_checkpoint("tiny_llama", tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "frozen").write_text("a file stands there")
    found = answers(checkpoint, prompts_of(), top(tmp_path / "other"))
    assert found == answers(checkpoint, prompts_of(), top(tmp_path / "off", gigabytes=0))


def test_nothing_is_kept_where_all_layers_learn(tmp_path: Path) -> None:
    model, config = make_checkpoint("tiny_llama", tmp_path).model, top(tmp_path)
    assert kept_prompts(model, config) is not None
    for method in (replace(TOP, layers="all"), replace(TOP, layers="top:2"), replace(TOP, name="full")):
        assert kept_prompts(model, replace(config, method=method)) is None


def test_a_model_whose_layers_cannot_be_left_out_computes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, config = make_checkpoint("tiny_llama", tmp_path).model, top(tmp_path)

    read = _Noted.read
    monkeypatch.setattr(_Noted, "read", lambda self, turn, layer: read(self, turn, layer) * 1.01)
    monkeypatch.setattr(f"{kept_prompts.__module__}._TRIED", {})
    assert kept_prompts(model, config) is None


def test_the_same_layers_are_tried_once_whatever_stands_above_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, config, tried = make_checkpoint("tiny_llama", tmp_path).model, top(tmp_path), list[LowerLayers]()
    module = kept_prompts.__module__
    monkeypatch.setattr(f"{module}._TRIED", {})
    trial = _tried
    monkeypatch.setattr(f"{module}._tried", lambda lower: tried.append(lower) or trial(lower))
    *_, below, above = decoder_layers(model).values()
    for changed, times in ((above, 1), (above, 1), (below, 2)):
        assert kept_prompts(model, config) is not None
        assert len(tried) == (1 if changed is above else times - 1)
        with torch.no_grad():
            next(changed.parameters()).mul_(1.01)
    assert kept_prompts(model, config) is not None
    assert len(tried) == 2
    below.forward = below.forward  # somebody else stands in for it
    assert kept_prompts(model, config) is None
    assert len(tried) == 2


@pytest.mark.parametrize("decoding", WAYS)
def test_a_full_store_is_noted_by_each_test_that_finds_it_full(tmp_path: Path, decoding: str) -> None:
    checkpoint = make_checkpoint("tiny_llama", tmp_path)

    def noted(gigabytes: float, finished: frozenset[tuple[str, str]] = frozenset()) -> list[str]:
        notes: list[str] = []
        config = top(tmp_path / str(gigabytes), decoding, gigabytes)
        given = prompts_of(decoding)
        keys = frozenset((one.task, one.instance_id) for one in given) if finished else finished
        list(predict(checkpoint, given, config, keys, notes=notes))
        return notes

    assert noted(1.0) == noted(1.0) == noted(0.0) == []
    for _ in range(2):
        (note,) = noted(1e-6)
        assert "frozen layers' states are computed in every test: 1e-06 GB are used up" in note
    assert noted(1e-6, frozenset({("all", "of them")})) == []  # nothing was asked
