"""Which measures a report shows where: those of `report.columns`, and the user's own metrics wherever there are any."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.legend import heading
from instruct_ablate.metrics import Score, find_measure
from instruct_ablate.metrics.measures import ABILITIES, DIFFERENCES, NO_MEASURES, USUAL, measure_names
from instruct_ablate.metrics.registry import built_in
from instruct_ablate.report.rows.seed_means import Row

COMPARED = ("exact_match", "rougeL", "format_correctness")
OF = {  # a usual column is of these measures: where no row has one of them, it would stand empty
    "format_correctness": ("exact_match",),
    "uniform_guess": ("exact_match",),
    **dict.fromkeys(DIFFERENCES, ("exact_match", "generation_rougeL")),
}
GENERAL_SAID = (
    "general: exact match over the choices of evaluation.general, no test; forgetting: the untuned model's less the "
    "trained one's, - where no untuned cell is done; "
)
COLLECTION = "tasks (collection)"  # the key `tasks`, beside a column that counts tasks
OF_THE_DATA = ("uniform_guess",)  # the same under every setting: neither deviates nor is compared


def main_columns(rows: Sequence[Row], chosen: Sequence[str] = ()) -> tuple[str, ...]:
    """Name the main table's columns: those chosen, else the usual ones and the user's own metrics.

    A usual one is left out where nothing that it is of was tested: exact match, format and guess where nothing is
    classified, the differences where there is neither exact match nor a ROUGE-L to take them of.
    """
    if chosen:
        return tuple(chosen)
    known = dict.fromkeys(name for row in rows for name, _ in row.means)
    if not known:
        return USUAL
    held = ABILITIES if any(row.general for row in rows) else ()
    usual = (name for name in USUAL if not known.keys().isdisjoint(OF.get(name, (name,))))
    return (*usual, *held, *_own(known))


def compared(cells: Iterable[CellRecord], chosen: Sequence[str] = ()) -> tuple[str, ...]:
    """Name the measures that differences are taken of and figures are drawn of."""
    further = (name for name in chosen if name not in (*NO_MEASURES, *OF_THE_DATA))
    return tuple(dict.fromkeys((*COMPARED, *own_metrics(cells), *further)))


def group_columns(cells: Iterable[CellRecord], chosen: Sequence[str] = ()) -> tuple[str, ...]:
    """Name the metrics of the tables by category and by task."""
    return tuple(dict.fromkeys(find_measure(name).metric.name for name in compared(cells, chosen)))


def shown_measures(cells: Iterable[CellRecord], chosen: Sequence[str] = ()) -> tuple[str, ...]:
    """Name the measures of the main table that a setting is judged by: no differences, nothing of the data."""
    names = (*(chosen or USUAL), *own_metrics(cells))
    return tuple(dict.fromkeys(name for name in names if name not in (*NO_MEASURES, *OF_THE_DATA)))


def shown_metrics(cells: Iterable[CellRecord], chosen: Sequence[str] = ()) -> tuple[str, ...]:
    """Name the metrics of single predictions that a page shows: those chosen, else the usual two; the user's own."""
    names = shown_measures(cells, chosen or ("exact_match", "rougeL"))
    return tuple(dict.fromkeys(find_measure(name).metric.name for name in names))


def own_metrics(cells: Iterable[CellRecord]) -> tuple[str, ...]:
    """Name the user's own metrics that cells were scored by."""
    scores: Iterable[Score] = (block.scores.overall for cell in cells for block in cell.blocks)
    return _own(name for score in scores for name, _ in score.values)


def _own(names: Iterable[str]) -> tuple[str, ...]:
    packaged = {metric.name for metric in built_in()}
    known = set(measure_names())
    return tuple(
        name
        for name in dict.fromkeys(names)
        if name in known and name not in packaged and find_measure(name).metric.name == name
    )


def key_headings(keys: Iterable[str], numbers: Sequence[str]) -> tuple[str, ...]:
    """Return what stands above the columns of keys, beside these of numbers: no two columns have one heading."""
    return tuple(COLLECTION if key == "tasks" and key in numbers else heading(key) for key in keys)


def column_heading(name: str, reference: str) -> str:
    """Return what stands above a column of the main table."""
    if name in DIFFERENCES:
        return f"to\n{reference if name == 'to_reference' else 'untuned'}"
    return name if name in ABILITIES else find_measure(name).heading


def explained(names: Sequence[str]) -> str:
    """Say what general ability is, and the user's own metrics where they are not "percent, the higher the better"."""
    measures = [find_measure(name) for name in names if name not in NO_MEASURES]
    packaged = {metric.name for metric in built_in()}
    told = [GENERAL_SAID] if set(names) & {*ABILITIES} else []
    for measure in measures:
        if measure.metric.name in packaged:
            continue
        unit = [] if measure.metric.unit == "%" else [f"in {measure.metric.unit}"]
        sense = [] if measure.metric.higher_is_better else ["the lower the better"]
        if unit or sense:
            told.append(f"{measure.name} {', '.join((*unit, *sense))}; ")
    return "".join(told)
