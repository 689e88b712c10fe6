"""Trials that show whether what is computed here is what a model itself computes: a few tokens, beyond any window."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from instruct_ablate.model.torch_internals import times_written

WINDOW = 5  # during a trial: its few tokens must reach beyond
# Allowed differences in standard deviations of the logits: rounding stays far below, another attention far above.
EXACT, ROUNDED = 0.02, 0.5
# What a model raises whose layers take or give something else than is known here.
REFUSALS = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    NotImplementedError,
    RuntimeError,
    AssertionError,
)
COPIED = 2**31  # weights: a model up to so many is tried once more in full precision (8 GiB for that while)


@contextmanager
def short_windows(model: Any) -> Iterator[None]:
    """Let sliding windows be short while this lasts, in the layers and in the configuration that masks are made by."""
    owners: dict[int, Any] = {}
    for part in model.modules():
        for owner in (part, getattr(part, "config", None)):
            window = getattr(owner, "sliding_window", None)
            if isinstance(window, int) and window > WINDOW:
                owners[id(owner)] = owner
    former = [(owner, owner.sliding_window) for owner in owners.values()]
    try:
        for owner, _ in former:
            owner.sliding_window = WINDOW
        yield
    finally:
        for owner, window in former:
            owner.sliding_window = window


def trial_tokens(model: Any, count: int) -> list[int]:
    """Return tokens to try a model on."""
    size = model.config.get_text_config().vocab_size
    return [3 + (7 * place * place) % (size - 3) for place in range(count)]


def agree(given: Tensor, wanted: Tensor) -> bool:
    """Whether logits differ by no more than rounding explains."""
    bound = EXACT if wanted.dtype == torch.float32 else ROUNDED
    return bool((given.float() - wanted.float()).abs().max() <= bound * wanted.float().std())


@dataclass(frozen=True, slots=True)
class Verdicts:
    """How a model's trials ended while its weights were as `state` says."""

    state: Hashable
    known: dict[Hashable, bool] = field(default_factory=dict)


_VERDICTS: WeakKeyDictionary[nn.Module, Verdicts] = WeakKeyDictionary()


def proven(trial: Callable[[Any], bool], model: Any) -> bool:
    """Whether a model passes a trial, where it computes in fewer bits at least as a copy in full precision does.

    The rounding of a deep model (SmolLM2's thirty layers in bf16) can exceed any bound that a wrong attention would
    exceed as well; fp32 tells them apart. The same trial of the same weights is not held again.
    """
    name = (trial.func, *sorted(trial.keywords.items())) if isinstance(trial, partial) else trial
    known = _verdicts(model).known
    if name not in known:
        known[name] = _passes(trial, model)
    return known[name]


def tried_alike(model: Any, copied: Any) -> None:
    """Let a fresh copy of a model share its verdicts, until the copy's weights are others."""
    _VERDICTS[copied] = Verdicts(_state(copied), _verdicts(model).known)


def _verdicts(model: Any) -> Verdicts:
    """Return what is known of a model as it is now."""
    state, found = _state(model), _VERDICTS.get(model)
    if found is None or found.state != state:
        found = _VERDICTS[model] = Verdicts(state)
    return found


def _state(model: Any) -> Hashable:
    """Return what is another as soon as a weight is: which tensors there are, where they lie, how often written to."""
    parts = [(one, times_written(one)) for one in chain(model.parameters(), model.buffers())]
    if any(times is None for _, times in parts):
        return object()  # equal to nothing else
    return tuple((id(one), one.data_ptr(), one.dtype, times) for one, times in parts)


def _passes(trial: Callable[[Any], bool], model: Any) -> bool:
    if trial(model):
        return True
    weights = list(model.parameters())
    if all(one.dtype == torch.float32 for one in weights) or sum(one.numel() for one in weights) > COPIED:
        return False
    return trial(copy.deepcopy(model).float())
