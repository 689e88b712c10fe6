"""The lowest layers of a decoder-only model, left out of a pass where what they give is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from torch import Tensor

from instruct_ablate.model.adapters import bare, decoder_layers
from instruct_ablate.model.processor import processor_kind
from instruct_ablate.model.state_store import bytes_of
from instruct_ablate.model.transformers_internals import replaced


class LowerLayers:
    """The lowest `count` layers of a model's decoder, at least one of whose layers lies above."""

    def __init__(self, model: Any, count: int) -> None:
        self.model, self.count = bare(model), count
        self.stack = self.model.get_decoder()
        every = list(decoder_layers(self.model).values())
        self.layers, self.above = every[:count], every[count]

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Yield what states may depend on, by name: all of the decoder but the layers above."""
        above = {id(part) for layer in list(self._every())[self.count :] for part in _tensors(layer)}
        for name, tensor in (*self.stack.named_parameters(), *self.stack.named_buffers()):
            if id(tensor) not in above:
                yield name, tensor

    def _every(self) -> Iterator[Any]:
        return iter(decoder_layers(self.model).values())

    @contextmanager
    def giving(self, states: Tensor) -> Iterator[None]:
        """Let a forward pass take these states (1, tokens, width) for what the layers give."""

        def give(*_: Any, **__: Any) -> Tensor:
            return states

        functions: dict[Any, Callable[..., Tensor]] = dict.fromkeys(self.layers, give)
        with replaced("forward", functions):
            yield

    @contextmanager
    def noting(self, found: list[Tensor]) -> Iterator[None]:
        """Let forward passes add the states (1, tokens, width) to `found` that the layers above are given."""

        def note(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            found.append(given[0] if given else named["hidden_states"])

        hook = self.above.register_forward_pre_hook(note, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()

    def name(self, *further: Any) -> str:
        """Name all that decides the bits of what the layers give: `further`, weights, code and kind of machine."""
        settings = self.model.config.to_dict()
        for key in ("_name_or_path", "use_cache"):
            settings.pop(key, None)
        told = [
            *further,
            self.count,
            type(self.model).__name__,
            settings,
            torch.__version__,
            transformers.__version__,
            torch.backends.cpu.get_cpu_capability(),
            processor_kind(),
            torch.get_num_threads(),
        ]
        digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
        for name, tensor in self.weights():
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
            digest.update(bytes_of(tensor.contiguous()))
        return digest.hexdigest()[:32]


def _tensors(layer: Any) -> Iterator[Tensor]:
    yield from layer.parameters()
    yield from layer.buffers()
