"""A GPU that is not there: tensors that say that they lie on one, and refuse what a GPU would refuse.

Values are computed on the processor. What is refused is what breaks on a GPU and on no processor: an operation on
tensors of two devices, or `.numpy()`. What C++ makes by itself counts as lying where its other arguments lie, for
C++ takes all of it to lie on the processor: of tensors that do, only those are refused that Python has made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map
from torch.utils.weak import WeakIdKeyDictionary

GPU = torch.device("cuda", 0)
CPU = torch.device("cpu")
aten = torch.ops.aten
# What takes tensors of both devices on a GPU, too.
CROSSING = {aten.copy_.default, aten._to_copy.default, aten._local_scalar_dense.default}
INDEXING = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._unsafe_index.Tensor}
TOGETHER = {aten.cat.default, aten.stack.default}


def changed(tree: Any, change: Any) -> Any:
    """Return arguments or results with each leaf changed: torch's own trees take half the time of these tests."""
    kind = type(tree)
    if kind is list or kind is tuple:
        return kind([changed(one, change) for one in tree])
    if kind is dict:
        return {key: changed(one, change) for key, one in tree.items()}
    return tree_map(change, tree) if isinstance(tree, list | tuple | dict) else change(tree)


def leaves(*trees: Any) -> list[Any]:
    """Return the leaves of arguments or results."""
    found: list[Any] = []
    changed(trees, found.append)
    return found


class OnGpu(Tensor):
    """A tensor that says that it lies on a GPU; `elem` holds its values."""

    elem: Tensor

    @staticmethod
    def __new__(cls, elem: Tensor) -> OnGpu:
        made: Any = Tensor._make_wrapper_subclass(
            cls,
            elem.size(),
            strides=elem.stride(),
            storage_offset=elem.storage_offset(),
            dtype=elem.dtype,
            layout=elem.layout,
            device=CPU,
            requires_grad=elem.requires_grad,
        )
        made.elem = elem.detach() if elem.requires_grad else elem
        return made

    def __repr__(self) -> str:
        return f"OnGpu({self.elem!r})"

    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    def tolist(self) -> Any:
        return self.elem.tolist()

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    __array__ = numpy

    def __reduce_ex__(self, protocol: Any) -> Any:
        # As a checkpoint that is read for the processor gives it.
        return self.elem.detach().clone().__reduce_ex__(protocol)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            made: Tensor = OnGpu(self.elem.detach().clone())
            is_weight = isinstance(self, nn.Parameter)
            memo[id(self)] = nn.Parameter(made, self.requires_grad) if is_weight else made
        return memo[id(self)]

    def untyped_storage(self) -> Any:
        return self.elem.untyped_storage()

    def data_ptr(self) -> int:
        return self.elem.data_ptr()

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        flat = leaves(args, kwargs)
        tensors = [one for one in flat if isinstance(one, Tensor)]
        draws = [one for one in flat if isinstance(one, torch.Generator)]
        if any(one.device.type == "cpu" for one in draws):
            raise RuntimeError(f"{func} on cuda:0 was given a generator of the processor")
        if func not in CROSSING:
            least = 0 if func in TOGETHER else 1  # a single number of the processor is taken by most
            others = [one for one in tensors if not isinstance(one, OnGpu) and one.dim() >= least]
            if func in INDEXING:  # indices may lie on the processor
                others = [one for one in others if any(one is other for other in (args[0], *args[2:3]))]
            # What is made in C++ alone lies where C++ takes the others to lie.
            if any(one in KNOWN for one in others):
                raise RuntimeError(f"Expected all tensors on one device, but {func} was given cuda:0 and cpu")
        # C++ asks for where it takes tensors to lie; what Python asks for is seen to by `_Function`.
        there = func is not aten.copy_.default or isinstance(args[0], OnGpu)
        known = {id(one.elem): one for one in tensors if isinstance(one, OnGpu)}

        def plain(one: Any) -> Any:
            return one.elem if isinstance(one, OnGpu) else CPU if isinstance(one, torch.device) else one

        out = func(*changed(args, plain), **changed(kwargs, plain))

        def wrapped(one: Any) -> Any:
            if not isinstance(one, Tensor) or not there:
                return one
            if id(one) in known:
                return known[id(one)]
            with torch.inference_mode(one.is_inference()):  # a view of what is older is none of the mode's
                return OnGpu(one)

        return changed(out, wrapped)


def _names(one: Any, kind: str) -> bool:
    """Whether an argument names a device of a kind."""
    if isinstance(one, str):
        return one.split(":")[0] == kind
    return isinstance(one, torch.device) and one.type == kind


READ = ("tolist", "numpy", "__array__", "data_ptr", "untyped_storage")


KNOWN: Any = WeakIdKeyDictionary()  # tensors that Python knows to lie on the processor


def _told(result: Any, given: Any) -> Any:
    """Note which results of a call lie on the processor: those that follow from nothing on the GPU."""
    if not any(isinstance(one, OnGpu) for one in given):
        for one in leaves(result):
            if isinstance(one, Tensor) and not isinstance(one, OnGpu):
                KNOWN[one] = True
    return result


class _Function(TorchFunctionMode):
    """Lets new tensors be asked for on the GPU, and others be brought there and back."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        first = args[0] if args else None
        if isinstance(first, OnGpu) and name in READ:
            return getattr(OnGpu, name)(*args, **kwargs)
        if name == "__set__" and func == Tensor.data.__set__ and isinstance(first, OnGpu):
            first.elem = args[1].elem
        if name in ("__get__", "__set__") or func is torch.device or "autocast" in name:
            return func(*args, **kwargs)
        flat = leaves(args, kwargs)
        if name == "cpu" or (name == "to" and any(_names(one, "cpu") for one in flat)):
            if isinstance(first, OnGpu):
                first = _Down.apply(first)
                rest = [one for one in args[1:] if not _names(one, "cpu")]
                more = {key: one for key, one in kwargs.items() if not _names(one, "cpu") and one is not None}
                first = first.to(*rest, **more) if rest or more else first
                KNOWN[first] = True
                return first
            return func(*args, **kwargs)
        if name == "to" and len(args) > 1 and isinstance(args[1], OnGpu):
            return up(first.to(args[1].dtype))
        if name == "new_tensor" and isinstance(first, OnGpu):
            return up(first.elem.new_tensor(*args[1:], **kwargs))
        if not any(_names(one, "cuda") for one in flat):
            return _told(func(*args, **kwargs), flat)
        if any(isinstance(one, torch.Generator) and one.device.type == "cpu" for one in flat):
            raise RuntimeError(f"{name} on cuda was given a generator of the processor")

        def here(one: Any) -> Any:
            return CPU if _names(one, "cuda") else one

        return up(func(*changed(args, here), **changed(kwargs, here)))


class _Down(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor) -> Tensor:
        return states.elem.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return OnGpu(gradients[0])


class _Up(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor) -> Tensor:
        return OnGpu(states.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return gradients[0].elem


def up(one: Any) -> Any:
    """Return what a GPU's memory has of a tensor."""
    if not isinstance(one, Tensor) or isinstance(one, OnGpu):
        return one
    return _Up.apply(one) if one.requires_grad and torch.is_grad_enabled() else OnGpu(one.detach().clone())


def brought(model: nn.Module) -> nn.Module:
    """Bring a model's weights and buffers there."""
    seen: dict[int, nn.Parameter] = {}
    for part in model.modules():
        for name, weight in part._parameters.items():
            if weight is not None and not isinstance(weight, OnGpu):
                if id(weight) not in seen:
                    seen[id(weight)] = nn.Parameter(OnGpu(weight.detach().clone()), weight.requires_grad)
                part._parameters[name] = seen[id(weight)]
        for name, buffer in part._buffers.items():
            if buffer is not None and not isinstance(buffer, OnGpu):
                part._buffers[name] = OnGpu(buffer.clone())
    return model


@contextlib.contextmanager
def pretended() -> Iterator[None]:
    """Let there be a GPU for tensors; `torch.cuda` itself knows of none."""
    with pytest.MonkeyPatch.context() as patch:
        run = torch.autograd._engine_run_backward

        def held(*args: Any, **kwargs: Any) -> Any:
            with (
                _Function()
            ):  # a call's own mode is off within it: what Python does on the way back is held to it, too
                return run(*args, **kwargs)

        arrays = torch.from_numpy  # which asks no mode
        patch.setattr(torch, "from_numpy", lambda array: _told(arrays(array), ()))
        patch.setattr(torch.autograd, "_engine_run_backward", held)
        with _Function():
            yield
