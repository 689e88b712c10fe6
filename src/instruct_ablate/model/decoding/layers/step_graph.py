"""Decoding steps on a GPU as captured CUDA graphs: starting a step's hundreds of kernels takes longer than they run.

Between two changes of shape (buffers grow, rows leave) a step reads and writes the same memory, so that it can be
captured once and replayed. What changes from step to step stands in tensors: the tokens, their positions, and the
column of the cache that they are written to. A step that is run twice leaves what one run leaves.

See https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs, on streams, pools and what cannot be captured.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor

from instruct_ablate.errors import with_kind
from instruct_ablate.model.cuda_attention import determinism_put_back
from instruct_ablate.model.decoding.layers.attention import Pair
from instruct_ablate.model.decoding.layers.kv_cache import RowCache
from instruct_ablate.model.trial import agree

log = logging.getLogger(__name__)

EAGER = 2  # steps after a change of shape until one is captured, which costs some two steps: answers may end before
AHEAD = 4  # with fewer steps than these to come before buffers grow, none is captured
CLEAR = 0.1  # standard deviations of the logits: a best token that far ahead of the next is the best one in bf16 too

Step = Callable[..., Tensor]  # from the step's inputs to its logits
Replay = Callable[[], Tensor]


class Capture(Protocol):
    """What captures steps on one kind of device, for one decoder."""

    def __init__(self, device: torch.device) -> None: ...

    def rehearse(self, step: Replay) -> Tensor:
        """Run a step as it will be captured, and raise a RuntimeError where it does what cannot be."""

    def capture(self, step: Replay) -> Replay:
        """Return what replays a step; its tensor is the same at each replay. The replay of before may be dropped."""


class CudaCapture:
    """Captures CUDA graphs, all of a decoder's in one pool of memory, which is freed with it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.pool = torch.cuda.graph_pool_handle()
        self.stream = _stream(device)
        # A pool must not fall idle between two captures: the last graph holds it until there is another.
        self.graph: torch.cuda.CUDAGraph | None = None

    def rehearse(self, step: Replay) -> Tensor:
        """Run a step beside the current stream, as documentation asks before a capture; waiting for the GPU raises."""
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        try:
            # A capture that fails half-way would leave more to clean up.
            with _waiting_raises(), torch.cuda.stream(self.stream):
                output = step()
        finally:
            current.wait_stream(self.stream)
        # It was made on another stream, which must not give its memory away while this one reads it.
        output.record_stream(current)
        return output

    def capture(self, step: Replay) -> Replay:
        """Capture a step, which does not run it."""
        graph = torch.cuda.CUDAGraph()
        current = torch.cuda.current_stream(self.device)
        try:
            # Other threads (loggers') may do what they like meanwhile.
            with torch.cuda.graph(
                graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"
            ):
                output = step()
        except BaseException:
            torch.cuda.set_stream(current)  # which a capture that fails does not put back
            raise
        self.graph = graph

        def replay() -> Tensor:
            graph.replay()
            return output

        return replay


@contextmanager
def _waiting_raises() -> Iterator[None]:
    """Let what waits for the GPU raise a RuntimeError."""
    former = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "a prototype feature", it says of itself
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(former)


@lru_cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream of all captures: the libraries of products keep working memory for each stream."""
    stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return stream


# By the type of device; elsewhere steps run as they are.
CAPTURES: dict[str, type[Capture]] = {"cuda": CudaCapture}
_proven: WeakSet[Any] = WeakSet()  # models whose captured steps have been compared with others
_refused: WeakKeyDictionary[Any, str] = WeakKeyDictionary()  # whose steps are not captured any more, and why


@dataclass(slots=True)
class Counts:
    """Steps of this process: captured (and run as such a first time), replayed, and run without."""

    captured: int = 0
    replayed: int = 0
    eager: int = 0


counts = Counts()


def captures(model: Any) -> bool:
    """Whether a model's steps are captured once that pays; what changes between them has to be in tensors then."""
    return model.device.type in CAPTURES and model not in _refused


def refusal(model: Any) -> str | None:
    """Say why no step of a model is captured any more in this process."""
    return _refused.get(model)


class StepGraph:
    """Runs the steps of one decoder: some as they are, and once shapes last, captured.

    It keeps what it has captured no longer than the shapes last, and never beyond its decoder: weights may change.
    """

    def __init__(self, model: Any, cache: RowCache) -> None:
        self.model, self.cache = model, cache
        self._capture = CAPTURES[model.device.type](model.device)
        self._inputs: list[Tensor] = []
        self._replay: Replay | None = None
        self._shapes, self._waited = -1, 0

    def __call__(self, step: Step, *inputs: Tensor) -> Tensor:
        """Return the logits of a step, the caller's own; the cache knows its next column."""
        if self.cache.shapes != self._shapes:
            self._shapes, self._waited, self._replay = self.cache.shapes, 0, None
            self._inputs = [one.clone() for one in inputs]
        for place, one in zip(self._inputs, inputs, strict=True):
            place.copy_(one)
        if self._replay is not None:
            return self._replayed(step)
        self._waited += 1
        counts.eager += 1
        ahead = self.cache.columns - self.cache.end - 1
        if self._waited < EAGER or ahead < AHEAD or self.model in _refused:
            return self._run(step)
        return self._captured(step)

    def _run(self, step: Step) -> Tensor:
        """Run a step as it is."""
        with _any_order():
            return step(*self._inputs)

    def _captured(self, step: Step) -> Tensor:
        """Run a step as it is, and capture it for those to come."""
        try:
            logits = self._capture.rehearse(lambda: self._run(step))
            self._replay = self._capture.capture(lambda: self._run(step))
        except RuntimeError as error:
            self._refuse(with_kind(error))
            return self._run(step)
        counts.captured += 1
        return logits

    def _replayed(self, step: Step) -> Tensor:
        """Replay a step; a model's first one is run as it is too, and compared."""
        assert self._replay is not None
        counts.replayed += 1
        if self.model in _proven:
            return self._replay().clone()
        logits = self._run(step)
        try:
            reason = self._difference(logits, self._replay)
        except RuntimeError as error:
            reason = with_kind(error)
        if reason is None:
            _proven.add(self.model)
        else:
            self._refuse(reason)
        return logits

    def _difference(self, wanted: Tensor, replay: Replay) -> str | None:
        """Say in what a replayed step differs from one that has just been run; the cache is left as that one left it.

        It is not the step that was captured but the next: a number that a capture took for a constant shows.
        """
        kept: dict[int, Pair] = {
            layer: (keys.clone(), values.clone()) for layer, (keys, values) in self.cache.layers.items()
        }
        try:
            for pair in self.cache.layers.values():
                for states in pair:
                    # So that a replay that writes nothing there is found out.
                    states[:, :, self.cache.end] = 0
            given = replay()
            return _differs(given, wanted) or next(
                (
                    f"it writes other {kind} in layer {layer}"
                    for layer, pair in kept.items()
                    for kind, found, right in zip(
                        ("keys", "values"), self.cache.layers[layer], pair, strict=True
                    )
                    if not agree(found, right)
                ),
                None,
            )
        finally:
            for layer, pair in kept.items():
                for states, right in zip(self.cache.layers[layer], pair, strict=True):
                    states.copy_(right)

    def _refuse(self, reason: str) -> None:
        """Capture no step of this model any more."""
        self._replay = None
        if self.model not in _refused:
            _refused[self.model] = reason = reason.splitlines()[0][:300]
            log.warning(
                "decoding steps run without CUDA graphs, slower and right: a captured step failed (%s)",
                reason,
            )


def _differs(given: Tensor, wanted: Tensor) -> str | None:
    """Say in what logits (rows, vocabulary) differ beyond rounding."""
    if not agree(given, wanted):
        apart = float((given.float() - wanted.float()).abs().max())
        return f"its logits are up to {apart:.3g} from those of the step run as it is"
    best, places = wanted.float().topk(2)
    clear = best[:, 0] - best[:, 1] > CLEAR * wanted.float().std()
    if bool((given.argmax(-1) != places[:, 0])[clear].any()):
        return "its best tokens are others than those of the step run as it is"
    return None


@contextmanager
def _any_order() -> Iterator[None]:
    """Let the new column be written in any order: it is one, and kernels that must be deterministic sort first."""
    with determinism_put_back():
        torch.use_deterministic_algorithms(False)
        yield
