"""The checklist: what a study's records answer of the ARR Responsible NLP checklist, as Markdown for an appendix.

What no record says is "not recorded"; nothing is filled in but the licences of listed models and collections.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from instruct_ablate.cell.state.record.record import CellRecord, Environment
from instruct_ablate.cell.state.setting.contamination import collections_of
from instruct_ablate.cell.state.setting.rates import rate_line
from instruct_ablate.configuration.presets import data_licence, licence_of
from instruct_ablate.grid.study import Study
from instruct_ablate.plural import counted
from instruct_ablate.report.rows.computed import with_model

UNKNOWN = "not recorded"
METRICS = (
    "evaluation.metrics"  # counts in no identity, and records have it empty: tables show what was scored
)
WATTS = {"CPU": 100, "GPU": 400}  # assumed of one device at work, where no record has measured energy


def checklist(study: Study) -> str:
    """Write the answers that a study has, by the checklist's sections."""
    parts = [
        f"# Responsible NLP checklist: {study.name}",
        "From the study's records; sections A, D and E are the authors' own. "
        f'"{UNKNOWN}" is what no record says.',
        *_section("B. Scientific artifacts", _artifacts(study)),
        *_section("C. Computational experiments", _experiments(study)),
        "### Hyper-parameters",
        _values(_done(study)),
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, answers: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f"## {title}"
    yield "\n".join(f"- **{question}**: {answer}" for question, answer in answers)


def _done(study: Study) -> list[CellRecord]:
    return [cell for cell in study.cells if cell.state == "done"]


def _of(cells: Iterable[CellRecord], key: str) -> str:
    """List the values that a key has over cells; lists among them are told apart."""
    values = sorted({cell.setting.text(key) for cell in cells if key in cell.setting})
    return ("; " if any("," in value for value in values) else ", ").join(values) or UNKNOWN


def _artifacts(study: Study) -> Iterator[tuple[str, str]]:
    cells = _done(study)
    data, model = _of(cells, "tasks"), _of(cells, "model")
    named = {one for cell in cells for one in collections_of(cell.setting)}
    models = sorted({cell.setting.model for cell in cells})
    hashes = ", ".join(sorted({cell.data_hash[:12] for cell in cells if cell.data_hash})) or UNKNOWN
    yield "B1 creators cited", f"data {data}; model {model}: the citation is {UNKNOWN}"
    licences = (f"({name}) {data_licence(name, reader)}" for name, reader in sorted(named, key=str))
    of_models = "; ".join(f"({name}) {licence_of(name) or UNKNOWN}" for name in models) or UNKNOWN
    yield "B2 licences", f"of the data {'; '.join(licences) or UNKNOWN}; of the model {of_models}"
    yield "B3 intended use", UNKNOWN
    yield "B4 personal or offensive content", UNKNOWN
    yield "B5 documentation", f"content hash of the data {hashes}; languages and domains {UNKNOWN}"
    yield "B6 statistics", _statistics(cells)


def _statistics(cells: Sequence[CellRecord]) -> str:
    sizes = {
        (len(block.scores.tasks), block.scores.overall.instances) for cell in cells for block in cell.blocks
    }
    tested = " or ".join(
        f"{counted(tasks, 'test task')} with {counted(instances, 'instance')}"
        for tasks, instances in sorted(sizes)
    )
    budgets = _of([cell for cell in cells if not cell.setting.untuned], "data_budget")
    held = _of([cell for cell in cells if cell.setting.get("tasks.validation")], "tasks.validation")
    held_out = (
        "no development set is recorded"
        if held == UNKNOWN
        else f"development set: {held} held-out training tasks"
    )
    return f"{tested or UNKNOWN}; training instances per task: {budgets}; {held_out}"


def _chosen(cells: Sequence[CellRecord]) -> str:
    """Say how the weights of each cell were chosen, where they were."""
    measures = sorted({cell.selected.measure for cell in cells if cell.selected is not None})
    if not measures:
        return ""
    told = f"the weights of a cell were chosen by {', '.join(measures)} on held-out training tasks"
    last = any(cell.selected is None and not cell.setting.untuned for cell in cells)
    return told + (" (of some cells the last step's were taken); " if last else "; ")


def _rates(cells: Sequence[CellRecord]) -> str:
    """Say at which rates optimisers ran, where they are not those that were configured."""
    rates = rate_line(cell.setting for cell in cells)
    return f"{rates}; " if rates else ""


def _experiments(study: Study) -> Iterator[tuple[str, str]]:
    cells = _done(study)
    states = Counter(cell.state for cell in study.cells)
    runs = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
    yield "C1 number of parameters", _parameters(cells)
    yield "C1 runs", runs
    yield "C1 computing budget", _budget(cells)
    yield "C1 energy", _energy(cells)
    yield "C1 infrastructure", _infrastructure(cells)
    yield (
        "C2 experimental setup",
        (
            f"{_chosen(cells)}{_rates(cells)}every value that was tried is in the table below, and every setting is "
            f"reported; how values were chosen is {UNKNOWN}"
        ),
    )
    seeds = sorted({cell.seed for cell in cells if not cell.setting.untuned})
    yield "C3 seeds", ", ".join(map(str, seeds)) or UNKNOWN
    yield (
        "C3 error bars",
        (
            f"tables: mean ± standard deviation over seeds, of up to {len(seeds)}; verdicts: 90 % intervals with "
            "seeds and tasks as crossed random effects, p-values Holm-corrected over places"
            if len(seeds) > 1
            else "one seed at most: no deviation over seeds"
        ),
    )
    yield "C4 packages", _packages(cells)


def _parameters(cells: Sequence[CellRecord]) -> str:
    """Say how many weights each model has, as they were counted when its cells ran."""
    counts: dict[str, set[int]] = {}
    for cell in cells:
        if cell.environment is not None and cell.environment.device != "none":
            counts.setdefault(cell.setting.text("model"), set()).add(cell.environment.parameters)
    told = (
        f"{model}: {' or '.join(f'{count:,}' if count else UNKNOWN for count in sorted(counts[model]))}"
        for model in sorted(counts)
    )
    return ", ".join(told) or UNKNOWN


def _hours(cells: Iterable[CellRecord]) -> dict[str, float]:
    """Sum the hours of preparing, training and testing by kind of device; what has no environment has no device."""
    hours: dict[str, float] = {}
    for cell in cells:
        if cell.environment is not None and cell.environment.device != "none":
            kind = "CPU" if cell.environment.device.startswith("cpu") else "GPU"
            cost = cell.cost
            spent = cost.prepare_seconds + cost.train_seconds + cost.point_seconds + cost.evaluate_seconds
            hours[kind] = hours.get(kind, 0.0) + spent / 3600
    return dict(sorted(hours.items()))


def _budget(cells: Sequence[CellRecord]) -> str:
    told = "; ".join(f"{hours:.2f} hours on {kind}" for kind, hours in _hours(cells).items())
    if not told:
        return UNKNOWN
    return (
        f"{told} over {counted(len(cells), 'done cell')} (preparing, training, testing; cells copied from another "
        f"study with what they took there; several devices of one cell count once); of failed and interrupted runs "
        f"{UNKNOWN}"
    )


def _energy(cells: Sequence[CellRecord]) -> str:
    hours = {kind: value for kind, value in _hours(cells).items() if value}
    if not hours:
        return UNKNOWN
    total = sum(value * WATTS[kind] / 1000 for kind, value in hours.items())
    assumed = ", ".join(f"{WATTS[kind]} W for one {kind}" for kind in hours)
    return f"{UNKNOWN}; estimated at {total:.3g} kWh, assuming {assumed} during the hours above"


def _infrastructure(cells: Sequence[CellRecord]) -> str:
    made = [environment for _, environment in with_model(cells)]
    devices = Counter(map(_device, made))
    told = (
        ", ".join(f"{device} in {counted(count, 'cell')}" for device, count in sorted(devices.items()))
        or UNKNOWN
    )
    if all(one.processor for one in made):
        return told
    return f"{told}; the processor's or card's model where it is not named: {UNKNOWN}"


def _device(made: Environment) -> str:
    threads = counted(made.threads, "thread") if made.threads else ""
    return f"{made.device} ({', '.join(filter(None, (made.processor, threads, made.precision)))})"


def _packages(cells: Sequence[CellRecord]) -> str:
    made = [cell.environment for cell in cells if cell.environment]
    pins = sorted({f"{name} {version}" for one in made for name, version in one.versions})
    pythons = sorted({f"Python {one.python}" for one in made})
    return ", ".join((*pythons, *pins)) or UNKNOWN


def _values(cells: Sequence[CellRecord]) -> str:
    """Tabulate every key that counts in a cell's identity, with all values that were tried."""
    keys = sorted({key for cell in cells for key in cell.setting.keys} - {METRICS})
    if not keys:
        return UNKNOWN
    lines = ["| key | values |", "|---|---|"]
    lines += [f"| `{key}` | {_of(cells, key).replace('|', chr(92) + '|')} |" for key in keys]
    return "\n".join(lines)
