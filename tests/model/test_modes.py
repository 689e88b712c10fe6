from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from transformers.utils import logging

from instruct_ablate.model.modes import Shared, evaluating, exact_logits, quiet, shapes_of_any_kind


def test_modes_are_restored_module_by_module_even_after_an_error():
    model = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Linear(2, 2))
    model.train()
    model[1].eval()
    try:
        with evaluating(model):
            assert not model[0].training
            assert torch.is_inference_mode_enabled()
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert [module.training for module in model.modules()] == [True, True, False]
    assert not torch.is_inference_mode_enabled()


def test_inside_nothing_is_said_and_afterwards_all_is_as_before() -> None:
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    with quiet():
        assert logging.get_verbosity() == logging.ERROR
        assert not logging.is_progress_bar_enabled()
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (level, bars)


def test_old_names_that_libraries_use_among_themselves_are_no_news() -> None:
    def loading() -> None:
        with quiet():
            warnings.warn("an old name", FutureWarning, stacklevel=1)
            warnings.warn("kept", UserWarning, stacklevel=1)

    with pytest.warns(UserWarning, match="kept") as caught:
        loading()
    assert [str(one.message) for one in caught] == ["kept"]


def test_after_an_error_too() -> None:
    level = logging.get_verbosity()
    with pytest.raises(ValueError, match="no"), quiet():
        raise ValueError("no")
    assert logging.get_verbosity() == level
    assert logging.is_progress_bar_enabled()


def test_bars_that_were_off_stay_off() -> None:
    logging.disable_progress_bar()
    try:
        with quiet():
            pass
        assert not logging.is_progress_bar_enabled()
    finally:
        logging.enable_progress_bar()


class Headed(torch.nn.Module):
    """A model that is nothing but its last layer."""

    def __init__(self, head: torch.nn.Module) -> None:
        super().__init__()
        self.head = head

    def get_output_embeddings(self) -> torch.nn.Module:
        return self.head


@pytest.mark.parametrize("bias", [True, False])
def test_logits_of_half_precision_are_exact_inside_and_as_before_afterwards(bias: bool) -> None:
    torch.manual_seed(0)
    model = Headed(torch.nn.Linear(8, 5, bias=bias).bfloat16())
    states = torch.randn(3, 8, dtype=torch.bfloat16)
    before = model.head(states)
    with exact_logits(model):
        inside = model.head(states)
    assert inside.dtype == torch.float32
    own = model.head.bias.float() if bias else 0.0
    torch.testing.assert_close(inside, states.float() @ model.head.weight.float().T + own)
    assert before.dtype == model.head(states).dtype == torch.bfloat16
    assert torch.equal(model.head(states), before)


def test_logits_that_are_exact_already_and_other_layers_are_left_alone() -> None:
    class Other(torch.nn.Linear):
        pass

    for head in (torch.nn.Linear(2, 2), Other(2, 2).bfloat16()):
        model = Headed(head)
        with exact_logits(model):
            assert not head._forward_hooks


def test_logits_are_as_before_after_an_error_too() -> None:
    model = Headed(torch.nn.Linear(2, 2).bfloat16())

    def fail() -> None:
        with exact_logits(model):
            assert len(model.head._forward_hooks) == 1
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert not model.head._forward_hooks


def test_no_kernel_is_built_for_a_shape_while_anyone_trains_or_answers() -> None:
    def built() -> bool:
        return torch.backends.cuda.cudnn_sdp_enabled()

    model = torch.nn.Linear(2, 2)
    assert built()
    first, second = shapes_of_any_kind(), evaluating(model)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)  # cells side by side end in any order
    assert not built()
    second.__exit__(None, None, None)
    assert built()
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        with shapes_of_any_kind():
            assert not built()
        assert not built()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(True)


@pytest.mark.parametrize("first", [0, 1])
def test_what_is_shared_ends_with_the_last_of_those_within_in_whatever_order_they_end(first: int) -> None:
    told: list[str] = []

    @contextmanager
    def make() -> Iterator[None]:
        told.append("entered")
        try:
            yield
        finally:
            told.append("left")

    shared = Shared(make)
    for _ in range(2):  # and again
        within = [shared(), shared()]
        for one in within:
            one.__enter__()
        within[first].__exit__(None, None, None)
        assert told == ["entered"]
        error = ValueError("no")
        assert not within[1 - first].__exit__(ValueError, error, None)
        assert told == ["entered", "left"]
        told.clear()
