from __future__ import annotations

import pytest
import torch
from transformers.utils import logging

from instruct_ablate.model.modes import evaluating, quiet


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
