"""Trials that show whether what is computed here is what a model itself computes: a few tokens, beyond any window."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
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
    with_parts: dict[Hashable, dict[Hashable, bool]] = field(default_factory=dict)  # that changed nothing


_VERDICTS: WeakKeyDictionary[nn.Module, Verdicts] = WeakKeyDictionary()
# Trials, with the models' type and precision, that full precision alone has passed: there it is asked first.
_IN_FULL: set[Hashable] = set()


def proven(trial: Callable[[Any], bool], model: Any) -> bool:
    """Whether a model passes a trial, where it computes in fewer bits at least as a copy in full precision does.

    The rounding of a deep model (SmolLM2's thirty layers in bf16) can exceed any bound that a wrong attention would
    exceed as well; fp32 tells them apart. The same trial of the same weights is not held again.
    """
    name = (trial.func, *sorted(trial.keywords.items())) if isinstance(trial, partial) else trial
    return held(name, lambda: _passes(trial, name, model), model)


def held(name: Hashable, trial: Callable[[], bool], model: Any) -> bool:
    """Return the verdict of the trial of this name, which is not held again of the same weights."""
    known = _verdicts(model).known
    if name not in known:
        known[name] = trial()
    return known[name]


def tried_alike(model: Any, copied: Any) -> None:
    """Let a fresh copy of a model share its verdicts, until the copy's weights are others."""
    verdicts = _verdicts(model)
    _VERDICTS[copied] = Verdicts(_state(copied), verdicts.known, verdicts.with_parts)


@contextmanager
def changing_nothing(model: Any, parts: Hashable) -> Iterator[None]:
    """Within, a model is given such parts, which as yet change nothing of what it computes.

    Copies of one model with the same parts share what is tried of them from then on, until their weights are others.
    """
    verdicts = _verdicts(model)
    yield
    _VERDICTS[model] = Verdicts(_state(model), verdicts.with_parts.setdefault(parts, {}))


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


def _passes(trial: Callable[[Any], bool], name: Hashable, model: Any) -> bool:
    weights = list(model.parameters())
    precisions = {one.dtype for one in weights}
    if precisions == {torch.float32} or sum(one.numel() for one in weights) > COPIED:
        return trial(model)
    kind = name, type(model), *precisions
    wide = None
    if kind in _IN_FULL:
        with suppress(TypeError):  # a part that cannot be copied; few bits may do
            wide = _in_full(model)
    if wide is not None:
        return trial(wide) or trial(model)
    if trial(model):
        return True
    if not trial(_in_full(model)):
        return False
    _IN_FULL.add(kind)
    return True


def _in_full(model: Any) -> Any:
    """Return a copy of a model in full precision; its weights are not copied before they are widened."""
    wide = {
        id(weight): nn.Parameter(weight.detach().float(), weight.requires_grad)
        for weight in model.parameters()
        if weight.dtype != torch.float32
    }
    return copy.deepcopy(model, {**wide}).float()
