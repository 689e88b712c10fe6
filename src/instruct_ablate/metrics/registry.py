"""The registry of metrics: built-in ones and the user's own are entries alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from instruct_ablate.configuration.extensions import (
    check_arguments,
    content_of,
    decorated,
    forgets,
    load_extensions,
    load_function,
)
from instruct_ablate.errors import UserError, unknown
from instruct_ablate.scores import KINDS, MetricDescription
from instruct_ablate.tasks.task import Kind

Reads = Literal["text", "label_space", "word_rule", "model", "constraints", "cells", "tests", "templates"]
READS: tuple[Reads, ...] = get_args(Reads)
# What no cell is scored by: a report computes it, over a setting's seeds or a cell's test instructions or templates.
AT_REPORT: tuple[Reads, ...] = ("cells", "tests", "templates")
BUILT_IN = "instruct_ablate.metrics.built_in"
KEY = "evaluation.metrics"
# What tables have beside measures: a metric of such a name would take its place.
RESERVED = (
    "instances",
    "kind",
    "category",
    "task",
    "cell",
    "seed",
    "to_reference",
    "to_untuned",
    "general",
    "forgetting",
)


@dataclass(frozen=True, slots=True)
class Metric(MetricDescription):
    """One metric with its function.

    `score` takes the prediction, the references and what `reads` names beside them, and returns a number in
    `range`, or None where it is not defined. One that reads cells takes the texts of all seeds, one
    that reads tests those under all test instructions, one that reads templates those under all templates, at
    report time.
    `whole`: it reads answers to their end, and says nothing of those that `evaluation.cut_wrong_answers` or
    `evaluation.answer_slack` has cut.
    `brings`: further metrics that whoever names this one gets too.
    `per_reference`: a mean over instances weighs each by the number of its references (of its constraints).
    `check` says before a grid starts what the function needs and has not.
    """

    score: Callable[..., float | None] = field(repr=False, kw_only=True)
    whole: bool = field(default=False, kw_only=True)
    brings: tuple[str, ...] = field(default=(), kw_only=True)
    per_reference: bool = field(default=False, kw_only=True)
    check: Callable[[], None] | None = field(default=None, repr=False, kw_only=True)

    @property
    def module(self) -> str:
        """The module that holds its function."""
        return str(getattr(self.score, "__module__", ""))

    @property
    def is_built_in(self) -> bool:
        """Whether the package itself brings it."""
        return self.module == BUILT_IN

    @property
    def description(self) -> MetricDescription:
        """Return what a record carries of it."""
        return MetricDescription(**{one.name: getattr(self, one.name) for one in fields(MetricDescription)})


_METRICS: dict[str, Metric] = {}
_DESCRIBED: dict[str, MetricDescription] = {}
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
    """Register a function as a metric; `more`: further fields of `Metric` that have a default."""

    def register(function: F) -> F:
        shown = heading or name.replace("_", " ")
        add(Metric(name, shown, unit, kinds, reads=reads, code=content_of(function), score=function, **more))
        return decorated(KEY, function)

    return register


def add(made: Metric) -> None:
    """Put a metric into the registry; a name that another function has is refused."""
    known = _METRICS.get(made.name)
    if known is not None and _place(known) != _place(made):
        raise UserError(
            f"metric {made.name!r} is registered by {_place(known)} already: choose another name."
        )
    if not made.name.isidentifier() or made.name in RESERVED:
        raise UserError(
            f"metric {made.name!r}: take a name of letters, digits and _, and none of {', '.join(RESERVED)}."
        )
    if made.reads not in READS:
        raise unknown(f"metric {made.name}: reads", made.reads, READS)
    if not made.kinds or set(made.kinds) - set(KINDS):
        raise UserError(f"metric {made.name}: kinds={made.kinds}: give one or both of {', '.join(KINDS)}.")
    check_arguments(KEY, made.score, _arguments(made.reads))
    _METRICS[made.name] = made


def _arguments(reads: Reads) -> tuple[str, ...]:
    """Name what a metric's function is called with."""
    if reads in AT_REPORT:
        return "predictions", "references"
    return ("prediction", "references") if reads == "text" else ("prediction", "references", reads)


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


def packaged(names: Iterable[str]) -> tuple[Metric, ...]:
    """Return the metrics of these names that the package has, further ones too; of others nothing is run or said."""
    found = (_METRICS.get(name) for name in names)
    return tuple(made for made in found if made and made.module.startswith(f"{__package__}."))


def describe(metrics: Iterable[MetricDescription]) -> None:
    """Note what records say of metrics whose code is not loaded here: how tables show them."""
    _DESCRIBED.update({one.name: one for one in metrics if one.name not in _METRICS})


def described() -> tuple[MetricDescription, ...]:
    """Return all that is known of metrics, registered or read from records."""
    return (*registered(), *(one for name, one in _DESCRIBED.items() if name not in _METRICS))


def known_metric(name: str) -> MetricDescription | None:
    """Return what is known of a metric; None where it is neither registered nor described in a record."""
    return _METRICS.get(name) or _DESCRIBED.get(name)


def find_metric(name: str) -> MetricDescription:
    """Return what is known of a metric."""
    if (known := known_metric(name)) is None:
        raise unknown("metric", name, [one.name for one in described()])
    return known


@dataclass(frozen=True, slots=True)
class Selection:
    """Which metrics score a cell: the built-in ones, all that its extension files register, and those named.

    `names` are `evaluation.metrics`: registered names, or `module.function`.
    """

    names: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def load(self) -> tuple[Metric, ...]:
        """Load the files and return the metrics; two of one name are refused."""
        load_extensions(self.files)
        modules = {Path(file).stem for file in self.files}
        found = [*built_in(), *(one for one in registered() if one.module in modules)]
        for path in self.names:
            found += [one for one in _named(path) if one not in found]
        called = [made.name for made in found]
        if len(set(called)) < len(called) or len(set(self.names)) < len(self.names):
            raise UserError(f"{KEY}: two metrics are called alike among {', '.join(self.names)}.")
        describe(found)
        return tuple(found)


BUILT_IN_ALONE = Selection()


def check_whole(metrics: Iterable[Metric], cut: bool, slack: object = None) -> None:
    """Refuse metrics of whole answers where `evaluation.cut_wrong_answers` or `.answer_slack` ends answers early."""
    names = [made.name for made in metrics if made.whole]
    ending = "evaluation.cut_wrong_answers=true ends wrong ones" if cut else ""
    if slack is not None:
        ending = f"evaluation.answer_slack={slack} ends long ones"
    if names and ending:
        raise UserError(
            f"{KEY}: {', '.join(names)} reads whole answers, and {ending} early: choose one of the two."
        )


def reading_model(metrics: Iterable[MetricDescription]) -> tuple[str, ...]:
    """Name the metrics that are made of what the model holds of the references, and so need it."""
    return tuple(made.name for made in metrics if made.reads == "model")


def _named(path: str) -> tuple[Metric, ...]:
    """Return the metric of this name, and those that it brings."""
    if path in _METRICS:
        return _METRICS[path], *(_METRICS[name] for name in _METRICS[path].brings)
    if "." not in path:
        raise unknown(KEY, path, _METRICS)
    function = load_function(path, KEY)
    return (next(made for made in _METRICS.values() if made.score is function),)


def named_metrics(names: Iterable[str]) -> tuple[Metric, ...]:
    """Return the metrics of these names, which files that were loaded before may have registered."""
    return tuple(one for name in names for one in _named(name))


def load_metrics(names: Iterable[str], files: Iterable[str] = ()) -> tuple[Metric, ...]:
    """Return the metrics that a configuration selects."""
    return Selection(tuple(names), tuple(files)).load()
