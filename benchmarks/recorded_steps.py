"""What a CUDA graph makes of a decoding step, on a processor: the calls of one step, with its memory and its numbers.

A replay makes the same calls on the same tensors and writes into the same results. What was a number during the
recording stays that number; what was put elsewhere since then is not found; and what would wait for a GPU is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from instruct_ablate.model.decoding.layers import step_graph

# Values that Python sees, sizes that depend on values, and copies of Python's numbers.
REFUSED = (
    "item",
    "_local_scalar_dense",
    "is_nonzero",
    "nonzero",
    "equal",
    "lift_fresh",
    "masked_select",
    "unique",
)


class Recording(TorchDispatchMode):
    """Notes the calls made while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in REFUSED:
            raise RuntimeError(f"{func} is not permitted while a step is captured")
        results = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, results))
        return results

    def replay(self) -> None:
        """Make the calls again; results lie where they lay."""
        for func, args, kwargs, results in self.calls:
            for former, new in zip(tree_leaves(results), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(former, Tensor) and former.data_ptr() != new.data_ptr():
                    former.copy_(new)

    def forget(self) -> None:
        """Spoil all results that have memory of their own: a capture runs nothing."""
        known: set[int] = set()
        for _, args, kwargs, results in self.calls:
            known |= {_memory(one) for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)}
            for one in tree_leaves(results):
                if isinstance(one, Tensor) and _memory(one) not in known and one.is_floating_point():
                    one.fill_(float("nan"))


def _memory(states: Tensor) -> int:
    return states.untyped_storage().data_ptr()


class RecordedSteps:
    """Stands where `step_graph.CudaCapture` does."""

    def __init__(self, _: torch.device) -> None: ...

    def rehearse(self, step: Callable[[], Tensor]) -> Tensor:
        """Run a step."""
        return step()

    def capture(self, step: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Record a step."""
        with Recording() as recording:
            output = step()
        recording.forget()

        def replay() -> Tensor:
            recording.replay()
            return output

        return replay


@contextmanager
def steps_captured(device: str, captured: bool) -> Iterator[step_graph.Counts]:
    """Let steps be captured (recorded, on a processor) or not; yield the counts of steps so far, from zero."""
    former, counts = dict(step_graph.CAPTURES), step_graph.counts
    step_graph.counts = step_graph.Counts()
    step_graph.CAPTURES.pop(device, None)
    if captured:
        step_graph.CAPTURES[device] = former.get(device, RecordedSteps)
    try:
        yield step_graph.counts
    finally:
        step_graph.counts = counts
        step_graph.CAPTURES.clear()
        step_graph.CAPTURES.update(former)
