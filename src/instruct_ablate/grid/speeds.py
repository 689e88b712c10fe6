"""Speeds: what finished cells took, by model, method, grouping and machine; machines are never mixed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from instruct_ablate.cell.state.record.record import CellRecord, Environment
from instruct_ablate.configuration.top_layers import ALL
from instruct_ablate.data.settings import unshared
from instruct_ablate.errors import UserError
from instruct_ablate.plural import counted
from instruct_ablate.schema import Config, DataConfig, ModelConfig, TrainerConfig

UNGROUPED = "none"  # of `data.grouping`


@dataclass(frozen=True, slots=True)
class Machine:
    """What a model ran on, as far as its speed hangs on it; `host` where the processor was not noted."""

    processor: str = ""
    device: str = "cpu"  # its kind, without a number
    precision: str = "fp32"
    threads: int = 0
    host: str = ""

    @classmethod
    def of(cls, made: Environment) -> Machine:
        """Return the machine of a cell."""
        host = "" if made.processor else made.host
        return cls(made.processor, made.device.partition(":")[0], made.precision, made.threads, host)

    def __str__(self) -> str:
        threads = counted(self.threads, "thread") if self.threads else ""
        how = ", ".join(filter(None, (self.device, self.precision, threads)))
        return f"{self.processor or self.host or 'a machine that was not noted'} ({how})"

    def suits(self, trainer: TrainerConfig) -> bool:
        """Whether cells with these settings may run on such a machine."""
        kind = trainer.accelerator
        # Not by its name: "gpu" asks for the same as "cuda", which is what a machine is noted with.
        fits = kind == "auto" or (kind == "cpu") == (self.device == "cpu")
        return fits and trainer.precision in ("auto", self.precision)


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured of a model: totals over the cells that ran, and when the last of them ended."""

    tokens: int = 0
    train_seconds: float = 0.0
    instances: int = 0
    test_seconds: float = 0.0
    other_seconds: float = 0.0
    cells: int = 0
    last: float = 0.0

    def __add__(self, other: Speed) -> Speed:
        return Speed(
            self.tokens + other.tokens,
            self.train_seconds + other.train_seconds,
            self.instances + other.instances,
            self.test_seconds + other.test_seconds,
            self.other_seconds + other.other_seconds,
            self.cells + other.cells,
            max(self.last, other.last),
        )


class Way(NamedTuple):
    """What speeds are told apart by."""

    model: str
    method: str
    machine: Machine = Machine()


Speeds = Mapping[Way, Speed]


def way(method: str, layers: str, data: DataConfig, encoder_decoder: bool = False) -> str:
    """Name what speeds are told apart by beside model and machine: the method, the layers that it trains, and grouping.

    Grouped steps compute once what their examples begin alike with: the same tokens take up to half the time. Where
    examples share nothing, grouped steps are as any others.
    """
    grouped = data.grouping != UNGROUPED and not unshared(data.packing, encoder_decoder)
    apart = {
        layers: layers != ALL,
        f"data.grouping={data.grouping}": grouped,
        "data.packing=false": not data.packing,
    }
    return " ".join([method, *(name for name, told in apart.items() if told)])


def way_of(config: Config) -> str:
    """Name the way in which a cell with this configuration trains."""
    encoder_decoder = config.data.grouping != UNGROUPED and _encodes(config.model)
    return way(config.method.name, config.method.layers, config.data, encoder_decoder)


def _encodes(model: ModelConfig) -> bool:
    """Whether a model is known to be an encoder-decoder; what cannot be looked at its own check tells."""
    from instruct_ablate.model.loading.location import check_checkpoint

    try:
        return model.source != "baseline" and check_checkpoint(model) == "encoder-decoder"
    except UserError:
        return False


def speeds(records: Iterable[CellRecord], planned: Iterable[Config] = ()) -> dict[Way, Speed]:
    """Add up what finished cells took, by model, method and machine; imported predictions took nothing here.

    `planned`: configurations of cells whose time is asked for, which have what the records' models are.
    """
    found: dict[Way, Speed] = {}
    models = {config.model.name: config.model for config in planned}
    kinds: dict[str, bool] = {}
    done = [
        (record, record.environment)
        for record in records
        if record.state == "done" and record.environment is not None and not record.setting.imported
    ]
    noted = _noted(made for _, made in done)
    for record, made in done:
        setting, name = record.setting, record.setting.model
        layers = str(setting.get("method.layers") or ALL)
        grouping = str(setting.get("data.grouping") or UNGROUPED)
        data = DataConfig(grouping=grouping, packing=setting.get("data.packing") is not False)
        if grouping != UNGROUPED and name in models and name not in kinds:
            kinds[name] = _encodes(models[name])  # looked at where it matters alone: it may be on the hub
        method = way(str(setting.get("method") or "full"), layers, data, kinds.get(name, False))
        key = Way(name, method, _machine(made, noted))
        found[key] = found.get(key, Speed()) + _of_cell(record, made)
    return found


def _noted(environments: Iterable[Environment]) -> dict[str, set[Machine]]:
    """Return by host the machines whose processor was noted."""
    found: dict[str, set[Machine]] = {}
    for made in environments:
        if made.processor:
            found.setdefault(made.host, set()).add(Machine.of(made))
    return found


def _machine(made: Environment, noted: Mapping[str, Collection[Machine]]) -> Machine:
    """Return the machine of a cell; an early record's is the one of its host that later ones noted, where it is one."""
    own = Machine.of(made)
    if made.processor:
        return own
    fitting = [
        one
        for one in noted.get(made.host, ())
        if (one.device, one.precision) == (own.device, own.precision) and own.threads in (0, one.threads)
    ]
    return fitting[0] if len(fitting) == 1 else own


def _of_cell(record: CellRecord, made: Environment) -> Speed:
    cost = record.cost
    known = cost.train_seconds + cost.point_seconds + cost.evaluate_seconds
    # A clock that was set back while a cell ran would make it a negative time.
    other = max(0.0, record.finished - record.started - known)
    if made.fused:  # it waited for the others, who had that time
        other = min(other, cost.prepare_seconds)
    tested = cost.evaluate_instances, cost.evaluate_seconds
    return Speed(cost.train_tokens, cost.train_seconds, *tested, other, 1, record.finished)


def beside(measured: Speeds, further: Speeds) -> dict[Way, Speed]:
    """Return measured speeds, and further ones of what was not measured on any machine.

    What was tested alone, as an untuned model is, says nothing of how fast such a model trains.
    """
    known = {(one.model, one.method) for one, speed in measured.items() if speed.tokens}
    found = dict(measured)
    for one, speed in further.items():
        if (one.model, one.method) not in known and (speed.tokens or one not in found):
            found[one] = found.get(one, Speed()) + speed
    return found


def on_one_machine(
    measured: Speeds, trainer: TrainerConfig, model: str, method: str | None
) -> tuple[Machine, Speed] | None:
    """Return what was measured of a model on the one machine that ran it last, among those that suit its settings.

    `method`: trained so, and measured training; None: an untuned model, whose tests are as fast by any method.
    """
    found: dict[Machine, Speed] = {}
    for one, speed in measured.items():
        if one.model == model and method in (None, one.method) and one.machine.suits(trainer):
            found[one.machine] = found.get(one.machine, Speed()) + speed
    whole = {
        machine: speed
        for machine, speed in found.items()
        if speed.instances and (method is None or speed.tokens)
    }
    if not whole:
        return None
    last = max(whole, key=lambda machine: whole[machine].last)
    return last, whole[last]


def machine_lines(measured: Speeds, used: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Say on which machines the speeds of models were measured (`used`: model and machine), and which were left out."""
    taken = dict.fromkeys(used)
    asked = {model for model, _ in taken}
    for machine in dict.fromkeys(machine for _, machine in taken):
        models = dict.fromkeys(model for model, own in taken if own == machine)
        yield f"time: {', '.join(models)} as measured on {machine}"
    left = dict.fromkeys(
        f"{one.model} on {one.machine}"
        for one in measured
        if one.model in asked and (one.model, str(one.machine)) not in taken
    )
    if left:
        yield f"time: measured on another machine, and not counted in: {'; '.join(left)}"
