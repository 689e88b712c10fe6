from __future__ import annotations

import copy
from functools import partial
from threading import Lock
from typing import Any

import pytest
import torch

from instruct_ablate.model.trial import (
    WINDOW,
    agree,
    changing_nothing,
    proven,
    short_windows,
    trial_tokens,
    tried_alike,
)
from tests.model.windows import make_model


def test_windows_are_short_in_layers_and_masks_and_long_again_afterwards() -> None:
    model = make_model("qwen3", sliding_window=100)
    sliding, full = (layer.self_attn for layer in model.model.layers)
    ids = torch.tensor([trial_tokens(model, 12)])
    with torch.no_grad():
        before = model(input_ids=ids).logits
        with short_windows(model):
            assert (model.config.sliding_window, sliding.sliding_window) == (WINDOW, WINDOW)
            assert full.sliding_window is None
            within = model(input_ids=ids).logits
        assert torch.equal(model(input_ids=ids).logits, before)
    assert sliding.sliding_window == model.config.sliding_window == 100
    assert torch.allclose(within[:, :WINDOW], before[:, :WINDOW], atol=1e-5)
    assert not torch.allclose(within[:, WINDOW:], before[:, WINDOW:], atol=1e-2)


def test_rounding_is_forgiven_as_far_as_a_precision_rounds() -> None:
    wanted = torch.linspace(-2, 2, 50)
    assert agree(wanted + 1e-3, wanted)
    assert not agree(wanted + 0.1, wanted)
    assert agree((wanted + 0.1).bfloat16(), wanted.bfloat16())
    assert not agree((wanted + 1).bfloat16(), wanted.bfloat16())


def test_the_same_trial_of_the_same_weights_is_held_once() -> None:
    model, held = make_model("qwen3"), []

    def trial(model: Any, strict: bool) -> bool:
        held.append(strict)
        return strict

    for _ in range(2):
        assert proven(partial(trial, strict=True), model)
        assert not proven(partial(trial, strict=False), model)
    assert held == [True, False]
    with torch.no_grad():
        next(model.parameters()).mul_(2)
    assert proven(partial(trial, strict=True), model)
    assert held == [True, False, True]
    model.lm_head = torch.nn.Linear(2, 2)
    assert proven(partial(trial, strict=True), model)
    assert len(held) == 4
    assert proven(partial(trial, strict=True), make_model("qwen3"))
    assert len(held) == 5


def test_a_copy_shares_what_was_tried_until_it_is_trained() -> None:
    model, held = make_model("qwen3"), []

    def trial(model: Any) -> bool:
        held.append(model)
        return True

    first, second, trained = (copy.deepcopy(model) for _ in range(3))
    for one in (first, second, trained):
        tried_alike(model, one)
    with torch.no_grad():
        next(trained.parameters()).mul_(2)
    assert [proven(trial, one) for one in (first, second, model)] == [True] * 3
    assert held == [first]
    proven(trial, trained)
    assert held == [first, trained]


def test_a_trial_that_failed_in_few_bits_and_passed_in_fp32_has_passed_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("instruct_ablate.model.trial._IN_FULL", set())
    model, held = make_model("qwen3").bfloat16(), []

    def trial(model: Any) -> bool:
        held.append(next(model.parameters()).dtype)
        return held[-1] == torch.float32

    assert proven(trial, model)
    assert proven(trial, model)
    assert held == [torch.bfloat16, torch.float32]


def test_what_few_bits_have_failed_is_tried_in_fp32_first_and_in_both_before_it_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("instruct_ablate.model.trial._IN_FULL", set())
    low, full = torch.bfloat16, torch.float32
    held: list[torch.dtype] = []

    def asked(passes: tuple[torch.dtype, ...], kind: str = "qwen3") -> tuple[bool, list[torch.dtype]]:
        """Hold a trial that a model of other weights passes in these precisions; return what was tried."""
        held.clear()
        passing[:] = passes
        return proven(trial, make_model(kind).bfloat16()), [*held]

    passing: list[torch.dtype] = []

    def trial(model: Any) -> bool:
        held.append(next(model.parameters()).dtype)
        return held[-1] in passing

    assert asked((low, full)) == (True, [low])
    assert asked(()) == (False, [low, full])
    assert asked((full,)) == (True, [low, full])
    assert asked((full,)) == (True, [full])
    assert asked((low,)) == (True, [full, low])
    assert asked(()) == (False, [full, low])
    assert asked((full,), "qwen2") == (True, [low, full])
    uncopied = make_model("qwen3").bfloat16()
    uncopied.lock = Lock()
    passing[:], held[:] = [low], []
    assert proven(trial, uncopied)
    assert held == [low]


def test_a_copy_in_fp32_has_the_same_weights_tied_as_before_and_leaves_the_model_as_it_is() -> None:
    model = make_model("qwen3").bfloat16()
    model.lm_head.weight = model.model.embed_tokens.weight
    before, copies = copy.deepcopy(model.state_dict()), []

    def trial(model: Any) -> bool:
        copies.append(model)
        return len(copies) == 2

    assert proven(trial, model)
    wide = copies[1]
    assert wide.lm_head.weight is wide.model.embed_tokens.weight
    assert {one.dtype for one in wide.parameters()} == {torch.float32}
    assert [name for name, _ in wide.named_parameters()] == [name for name, _ in model.named_parameters()]
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name])
        assert weight.dtype == before[name].dtype
        assert torch.equal(wide.state_dict()[name], weight.float())


def test_parts_that_change_nothing_yet_share_what_was_tried_with_the_same_parts() -> None:
    model, held = make_model("qwen3"), []

    def trial(model: Any) -> bool:
        held.append(model)
        return True

    def given(parts: str, scale: float = 1.0) -> Any:
        one = copy.deepcopy(model)
        tried_alike(model, one)
        if scale != 1:
            with torch.no_grad():
                next(one.parameters()).mul_(scale)
        with changing_nothing(one, parts):
            one.adapter = torch.nn.Linear(2, 2)
        assert proven(trial, one)
        return one

    first = given("rank 4")
    given("rank 4")
    assert held == [first]
    other, weights = given("rank 8"), given("rank 4", 2.0)
    assert held == [first, other, weights]
    with torch.no_grad():
        first.adapter.weight.mul_(2)
    assert proven(trial, first)
    assert held[3:] == [first]
    assert proven(trial, model)
    assert held[4:] == [model]
