"""The summary: a study's main table on the terminal, at the end of a sweep and at any time before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from instruct_ablate.cell.state.setting.contamination import DOUBTFUL, SEEN, seen, seen_line
from instruct_ablate.cell.state.setting.counterpart import drawn
from instruct_ablate.cell.state.setting.legend import Legend, heading
from instruct_ablate.cell.state.setting.rates import rate_line
from instruct_ablate.grid.study import Study, read_study
from instruct_ablate.instruction.shortage import in_one
from instruct_ablate.metrics.measures import DIFFERENCES, NO_MEASURES
from instruct_ablate.plural import counted, named, sentence
from instruct_ablate.report.rows.across_cells import with_metrics_over_cells
from instruct_ablate.report.rows.budgets import unmet_lines
from instruct_ablate.report.rows.columns import OF_THE_DATA, column_heading, explained, main_columns
from instruct_ablate.report.rows.computed import scored_sentence, ways_sentence
from instruct_ablate.report.rows.lengths import lengths_lines
from instruct_ablate.report.rows.repetitions import names_in, same_lines
from instruct_ablate.report.rows.seed_means import Mean, Row, build_rows
from instruct_ablate.report.rows.trials import UNEVEN, tested_as_usual
from instruct_ablate.rounding import written
from instruct_ablate.terminal import make_console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Form:
    """How numbers are written."""

    digits: int = 2
    spread: bool = True  # with the deviation over seeds


FORMS = (Form(), Form(digits=1), Form(digits=1, spread=False))
TESTED = "tested on"
LONGEST = 40  # characters of a value in a caption
_CLASSIFIED = {"exact_match": "exact match", "format_correctness": "format", "uniform_guess": "guess"}


def print_summary(folder: Path, console: Console | None = None) -> None:
    """Print a study's main table as it stands on disk: one row a setting, mean ± deviation over seeds."""
    study = read_study(folder)
    print_rows(study, with_metrics_over_cells(build_rows(study.cells, study.reference), study), console)


def print_rows(study: Study, rows: Sequence[Row], console: Console | None = None) -> None:
    """Print rows as wide as the terminal allows: with deviations, shorter, or the means alone."""
    console = console or make_console()
    if not rows:
        console.print(f"{study.folder}: no cells yet.", highlight=False, markup=False)
        return
    names = main_columns(rows, study.columns)
    tables = [summary_table(study.name, rows, study.reference, form, names) for form in FORMS]
    widths = [
        console.measure(table, options=console.options.update(max_width=1000)).maximum for table in tables
    ]
    # A log or a pipe has no width of its own; a table must not lose its columns there.
    room = console.width if console.is_terminal else widths[0]
    place = next((i for i, width in enumerate(widths) if width <= room), None)
    if place is None:
        console.print(stacked_table(study.name, rows, study.reference, names))
    else:
        console.width = max(console.width, widths[place])
        console.print(tables[place])
    more = " A wider terminal shows the deviations." if place == len(FORMS) - 1 else ""
    console.print(f"[dim]{caption(rows, names)}{more}[/dim]", highlight=False)


def summary_table(
    title: str, rows: Sequence[Row], reference: str, form: Form = FORMS[0], names: Sequence[str] = ()
) -> Table:
    """Build the table of the columns `names`; axes on which all rows agree are left to the caption."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold", pad_edge=False, box=box.SIMPLE_HEAD)
    places = Places(rows)
    for name in places.headings:
        table.add_column(_narrow(name), justify="left", no_wrap=True)
    names = names or main_columns(rows)
    for name in names:
        table.add_column(column_heading(name, reference), justify="right", no_wrap=True)
    if any(row.unfinished or row.clash for row in rows):
        table.add_column("not\nfinished", justify="left", no_wrap=True)
    for row in rows:
        table.add_row(*places.texts(row), *_values(row, names, form))
    return table


def stacked_table(title: str, rows: Sequence[Row], reference: str, names: Sequence[str]) -> Table:
    """Build what a terminal shows that has no room for the columns: a row's values one below the other."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=False, pad_edge=False, box=box.SIMPLE_HEAD)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold", justify="right")
    places = Places(rows)
    for row in rows:
        told = [*zip(places.headings, places.texts(row), strict=True)]
        told += [(column_heading(name, reference), measured(row, name)) for name in names]
        told += [("not finished", unfinished(row))] if unfinished(row) else []
        for number, (heading_, text) in enumerate(told, 1):
            table.add_row(" ".join(heading_.split()), text, end_section=number == len(told))
    return table


class Places:
    """What a table says of where its rows stand: the keys on which their settings differ, and what they share."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._legend = Legend(row.setting for row in rows)
        keys = self._legend.keys
        self._keys = keys if "instruction" in keys else (*keys, "instruction")  # this one is always shown
        self._tested = not all(tested_as_usual(row.setting, row.tested) for row in rows)
        values = ((key, row.setting.get(key)) for row in rows for key in row.setting.keys)
        self._lists = {key: value for key, value in values if isinstance(value, tuple)}
        known = {seen(row.setting) for row in rows}
        self._seen = len(known) > 1 and not known.isdisjoint(DOUBTFUL)

    @property
    def headings(self) -> tuple[str, ...]:
        """Head the columns."""
        return (*map(heading, self._keys), *([SEEN] * self._seen), *([TESTED] if self._tested else []))

    def texts(self, row: Row) -> tuple[str, ...]:
        """Return what a row shows in these columns."""
        shown = [self._legend.text(row.setting, key) for key in self._keys]
        return (*shown, *([seen(row.setting)] * self._seen), *([row.tested] if self._tested else []))

    @property
    def shared(self) -> str:
        """Write what all rows have in common."""
        return self.shared_by("=")

    def shared_by(self, sign: str) -> str:
        """Write the same with another sign between a heading and its text."""
        shown = [pair for pair in self._legend.shared if pair[0] not in self._keys and pair[1] != "-"]
        return ", ".join(f"{heading(key)}{sign}{_cut(text, self._lists.get(key, ()))}" for key, text in shown)


def _cut(text: str, items: tuple[str, ...] = ()) -> str:
    """Shorten a long value; of a list whole items stay, and how many more there are is said."""
    if len(text) <= LONGEST:
        return text
    if text != ", ".join(items):  # no list, or one that is said in words of its own
        return f"{text[:LONGEST]}…"
    fitting = sum(len(", ".join(items[: number + 1])) <= LONGEST for number in range(len(items)))
    return named([_cut(item) for item in items], max(1, fitting))


def _narrow(name: str) -> str:
    """Break a heading where a narrow table may break it."""
    return name.replace(" ", "\n", 1) if " " in name else name.replace(".", ".\n", 1)


def caption(rows: Sequence[Row], names: Sequence[str] = ()) -> str:
    """Say what all rows have in common and what the numbers are."""
    numbers = "; ".join(numbers_said(rows, names or main_columns(rows)))
    return " ".join((f"{Places(rows).shared}.", *map(sentence, (*warnings(rows), numbers))))


def warnings(rows: Sequence[Row]) -> list[str]:
    """Say what a reader must know of rows: rates that are not those configured, tests seen before, single draws."""
    settings = [row.setting for row in rows]
    apart = ways_sentence((row.setting, row.ways) for row in rows)
    scored = scored_sentence(row.scored for row in rows)
    unmet = unmet_lines((row.setting, row.unmet, row.unmet_tasks) for row in rows)
    short = in_one(line for row in rows for line in row.shortages)
    same = same_lines((row.setting, row.tested, row.seeds, row.same) for row in rows)
    # Rows of one setting, by its tests, are of the same trainings.
    trained = {row.setting: row.lengths_in_training for row in rows}
    lengths = lengths_lines(
        [one for row in rows for one in row.lengths], [one for each in trained.values() for one in each]
    )
    single = rate_line(settings), seen_line(settings), draw_line(rows)
    told = (*single, *same, *unmet, *short, *lengths, apart, scored)
    return [line for line in told if line]


def draw_line(rows: Sequence[Row]) -> str | None:
    """Say which rows that are not trained are one seed's draw, and no more; None where there are none."""
    alone = [row for row in rows if len(row.seeds) == 1 and not row.same]
    single = [row for row in alone if row.setting.untuned and drawn(row.setting, row.tested)]
    if not single:
        return None
    told = dict.fromkeys(
        names_in((row.setting for row in rows), ((one.setting, one.tested) for one in single))
    )
    return f"one seed's draw, with no deviation, and held against that seed alone: {'; '.join(told)}"


def numbers_said(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """Say what the numbers in the columns `names` are, for every caption: spread, seeds, tasks, instances, units."""
    classified = [word for name, word in _CLASSIFIED.items() if name in names]
    told = (
        (spread_said(rows), names),
        (f"percentages averaged per task{_over(rows)}", names),
        (f"{listed(classified)} over classification tasks" if classified else "", names),
        ("ROUGE-L (gen.) over generation tasks", ("generation_rougeL",)),
        (explained(names).removesuffix("; "), names),
        ("clash: several cells are the same setting with the same seed, so there is no number of it"
         if any(row.clash and not row.uneven for row in rows) else "", names),
        (f"other tests: {UNEVEN}, so there is no number of them" if any(row.uneven for row in rows) else "", names),
        ("the differences to other rows are of exact match (ROUGE-L where there is no classification), paired by seed "
         "before rounding", DIFFERENCES),
    )  # fmt: skip
    return [text for text, of in told if text and not set(of).isdisjoint(names)]


def few_seeds(row: Row, rows: Sequence[Row]) -> str:
    """Return how many seeds a row is over, where others are over more; "" of a row that has but one cell anyway."""
    number = len(row.seeds)
    if not 0 < number < _most_seeds(rows) or (number == 1 and row.setting.untuned):
        return ""
    return counted(number, "seed")


def _most_seeds(rows: Sequence[Row]) -> int:
    return max((len(row.seeds) for row in rows), default=0)


def spread_said(rows: Sequence[Row]) -> str:
    """Say over how many seeds numbers are, what is not over several, and over how many templates each is."""
    most, wordings = _most_seeds(rows), max((row.templates for row in rows), default=1)
    templates = f", each a mean over {wordings} templates" if wordings > 1 else ""
    if most < 2:
        return f"one seed{templates}"
    up_to = "up to " if any(few_seeds(row, rows) for row in rows) else ""
    once = " or repetition" if any(row.same and len(row.seeds) == 1 for row in rows) else ""
    single = f"; without ± a single cell{once}" if any(len(row.seeds) == 1 for row in rows) else ""
    return f"mean ± standard deviation over {up_to}{counted(most, 'seed')}{single}{templates}"


def _over(rows: Sequence[Row]) -> str:
    """Say over how many test tasks and instances, from the least to the most where rows differ."""
    kinds = sorted({one.kind for row in rows for one in row.over})
    parts = []
    for kind in kinds:
        own = [one for row in rows for one in row.over if one.kind == kind]
        tasks, instances = ([getattr(one, what) for one in own] for what in ("tasks", "instances"))
        noun = "instance" if max(instances) == 1 else "instances"
        parts.append(f"{_range(tasks)} {kind} ({_range(instances)} {noun})")
    return f", of {' and '.join(parts)}" if parts else ""


def _range(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return f"{most:,}" if least == most else f"{least:,} to {most:,}"


def listed(names: Sequence[str]) -> str:
    """Write names as a sentence has them: "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _values(row: Row, names: Sequence[str], form: Form) -> list[str]:
    return [*(measured(row, name, form) for name in names), unfinished(row)]


def unfinished(row: Row) -> str:
    """Count a row's cells that are not done, by state: "1 failed, 2 missing"; name those that clash."""
    kind = "other tests" if row.uneven else "clash"
    clash = [f"{kind}: {' and '.join(row.clash)}"] if row.clash else []
    return ", ".join((*clash, *(f"{count} {state}" for state, count in row.unfinished)))


def measured(row: Row, name: str, form: Form = FORMS[0]) -> str:
    """Return what a row shows in a column; the uniform guess is the data's, so it does not deviate."""
    own = no_measures_of(row)
    mean = own[name] if name in own else row.mean(name)
    if mean is not None and name in OF_THE_DATA:
        mean = replace(mean, deviation=None)
    return number(mean, signed=name in (*DIFFERENCES, "forgetting"), form=form)


def no_measures_of(row: Row) -> dict[str, Mean | None]:
    """Return the columns that are no measures."""
    return {name: getattr(row, name) for name in NO_MEASURES}


def number(mean: Mean | None, *, signed: bool = False, form: Form = FORMS[0]) -> str:
    """Write a mean with its deviation: "48.55 ± 0.31", "+2.10"; "-" where there is none."""
    if mean is None:
        return "-"
    value = written(mean.value, form.digits, signed=signed)
    spread = form.spread and mean.deviation is not None
    return f"{value} ± {mean.deviation:.{form.digits}f}" if spread else value
