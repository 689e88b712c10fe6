"""The registry of metrics: built-in ones and the user's own are entries alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

from instruct_ablate.errors import UserError, unknown
from instruct_ablate.extensions import decorated, forgets, load_function
from instruct_ablate.tasks.task import Kind

Reads = Literal["text", "label_space"]
KINDS: tuple[Kind, ...] = get_args(Kind)
READS: tuple[Reads, ...] = get_args(Reads)
BUILT_IN = "instruct_ablate.metrics.built_in"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    `score` takes the prediction, the references and what `reads` names beside them, and returns a number in
    `range`, or None where it is not defined. `kinds` are the kinds of task that the measure of its name is
    averaged over. Values of unit "%" are multiplied by 100 when they are averaged.
    """

    name: str
    heading: str
    score: Callable[..., float | None] = field(repr=False)
    unit: str = "%"
    kinds: tuple[Kind, ...] = KINDS
    higher_is_better: bool = True
    reads: Reads = "text"
    range: tuple[float, float] | None = (0.0, 1.0)

    @property
    def module(self) -> str:
        """The module that holds its function."""
        return str(getattr(self.score, "__module__", ""))

    @property
    def is_built_in(self) -> bool:
        """Whether the package itself brings it."""
        return self.module == BUILT_IN


_METRICS: dict[str, Metric] = {}
F = TypeVar("F", bound=Callable[..., float | None])


def metric(
    name: str,
    heading: str | None = None,
    *,
    reads: Reads = "text",
    unit: str = "%",
    kinds: tuple[Kind, ...] = KINDS,
    **more: Any,
) -> Callable[[F], F]:
    """Register a function as a metric; `more` are further fields of `Metric`."""

    def register(function: F) -> F:
        made = Metric(name, heading or name.replace("_", " "), function, unit, kinds, reads=reads, **more)
        add(made)
        return decorated("evaluation.metrics", function)

    return register


def add(made: Metric) -> None:
    """Put a metric into the registry; a name that another function has is refused."""
    known = _METRICS.get(made.name)
    if known is not None and _place(known) != _place(made):
        raise UserError(
            f"metric {made.name!r} is registered by {_place(known)} already: choose another name."
        )
    if made.reads not in READS:
        raise unknown(f"metric {made.name}: reads", made.reads, READS)
    if not made.kinds or set(made.kinds) - set(KINDS):
        raise UserError(f"metric {made.name}: kinds={made.kinds}: give one or both of {', '.join(KINDS)}.")
    _METRICS[made.name] = made


def _place(made: Metric) -> str:
    return f"{made.module}.{getattr(made.score, '__qualname__', made.name)}"


@forgets
def _forget(module: str) -> None:
    for name in [name for name, made in _METRICS.items() if made.module == module]:
        del _METRICS[name]


def registered() -> tuple[Metric, ...]:
    """Return all metrics, the built-in ones first."""
    return tuple(sorted(_METRICS.values(), key=lambda made: not made.is_built_in))


def built_in() -> tuple[Metric, ...]:
    """Return the metrics that every cell is scored by."""
    return tuple(made for made in _METRICS.values() if made.is_built_in)


def find_metric(name: str) -> Metric:
    """Return a metric by its name."""
    if name not in _METRICS:
        raise unknown("metric", name, _METRICS)
    return _METRICS[name]


def load_metrics(names: Sequence[str]) -> tuple[Metric, ...]:
    """Return the built-in metrics and those that `names` add: registered ones, or `module.function`."""
    found = [*built_in(), *(_own(name) for name in names)]
    called = [made.name for made in found]
    if len(set(called)) < len(called):
        raise UserError(f"evaluation.metrics: two metrics are called alike among {', '.join(names)}.")
    return tuple(found)


def _own(path: str) -> Metric:
    if path in _METRICS:
        return _METRICS[path]
    if "." not in path:
        raise unknown("evaluation.metrics", path, _METRICS)
    function = load_function(path, "evaluation.metrics")
    return next(made for made in _METRICS.values() if made.score is function)
