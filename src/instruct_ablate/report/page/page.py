"""The page: one HTML file that opens from disk, with verdicts, tables, figures and a prediction browser."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import instruct_ablate
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.trained_on import budget_on_axis, sorted_budgets
from instruct_ablate.grid.history.stated import history
from instruct_ablate.grid.study import Study
from instruct_ablate.metrics import find_measure
from instruct_ablate.report.documents.provenance import cell_table, made_with
from instruct_ablate.report.figures.figures import by_line
from instruct_ablate.report.figures.levels import levels
from instruct_ablate.report.figures.styles import DASHES, Style, Styles
from instruct_ablate.report.page.browser import packed, packed_data
from instruct_ablate.report.rows.chosen_rates import chosen_lines
from instruct_ablate.report.rows.columns import main_columns, shown_measures
from instruct_ablate.report.rows.computed import apart_in
from instruct_ablate.report.rows.seed_means import Row
from instruct_ablate.report.tables.general import CAPTION as CAPTION_OF_GENERAL
from instruct_ablate.report.tables.pivot import MOST_ON_PAGE
from instruct_ablate.report.tables.power_laws import CAPTION
from instruct_ablate.report.tables.tables import Table
from instruct_ablate.report.tables.terminal_table import caption
from instruct_ablate.report.verdicts.at_looks import looks_of
from instruct_ablate.report.verdicts.sentences import sentence
from instruct_ablate.report.verdicts.verdicts import Verdict, details

PARTS = Path(__file__).parent / "parts"
_SVG_DASHES = dict(zip(DASHES, ("", "7 4", "7 3 1.5 3", "1.5 3"), strict=True))


@dataclass(frozen=True)
class Contents:
    """What a page is made of."""

    study: Study
    rows: tuple[Row, ...]
    verdicts: tuple[Verdict, ...]
    main: Table
    differences: Table
    groups: Table
    tasks: Table
    templates: Table
    powers: Table
    general: Table
    general_said: tuple[str, ...] = ()
    differences_said: str = ""
    changed: str = ""  # what to say of predictions that are no longer those of the scores


def page_data(study: Study, rows: Sequence[Row], served: Mapping[str, Any] | None = None) -> str:
    """Pack what the page's script reads: the plot and the predictions.

    `served` is the head of a browser that fetches its predictions from where the page comes from.
    """
    drawn = {"plot": plot(rows, shown_measures(study.cells, study.columns))}
    if served is not None:
        return packed({"browser": served, **drawn})
    return packed_data(study.folder, study.cells, drawn, study.columns)


def build_page(contents: Contents, figures: Sequence[Path], data: str, served: bool = False) -> str:
    """Return the HTML of a page with these figures and `page_data`; all that comes from models and data is escaped."""
    from jinja2 import Environment, FileSystemLoader

    template = Environment(loader=FileSystemLoader(PARTS), autoescape=True).get_template("page.html")
    study = contents.study
    return template.render(
        name=study.name,
        version=instruct_ablate.__version__,
        made_with=made_with(study.cells),
        apart=apart_in(study),
        changed=contents.changed,
        verdicts=[_verdict(verdict) for verdict in contents.verdicts],
        stated=list(history(study.stated)),
        looks=list(looks_of(study)),
        rates=chosen_lines(study.cells),
        unfinished=unfinished(study.cells),
        main=contents.main,
        main_filters=list(range(contents.main.labels)),
        caption=caption(contents.rows, main_columns(contents.rows, study.columns)) if contents.rows else "",
        differences=contents.differences,
        differences_said=contents.differences_said,
        groups=contents.groups,
        groups_filters=list(range(contents.groups.labels)),
        tasks=contents.tasks,
        tasks_filters=list(range(contents.tasks.labels)),
        tasks_shown=0 < len(contents.tasks.lines) <= MOST_ON_PAGE,
        templates=contents.templates,
        powers=contents.powers,
        powers_caption=CAPTION,
        general=contents.general,
        general_caption=CAPTION_OF_GENERAL,
        general_said=contents.general_said,
        cells=cell_table(study.cells, brief=True),
        figures=[_figure(path) for path in figures],
        css=(PARTS / "page.css").read_text(encoding="utf-8"),
        script=(PARTS / "page.js").read_text(encoding="utf-8"),
        served=served,
        data=data,
    )


def _verdict(verdict: Verdict) -> dict[str, Any]:
    lines = list(details(verdict))
    said = {"sentence": sentence(verdict), "text": verdict.hypothesis.text, "findings": lines}
    return {"answer": verdict.answer, **said}


def _figure(path: Path) -> dict[str, str]:
    return {"name": path.stem.replace("_", " "), "data": base64.b64encode(path.read_bytes()).decode()}


def unfinished(cells: Sequence[CellRecord]) -> str:
    """Count the cells that are not done, by state."""
    counts: dict[str, int] = {}
    for cell in cells:
        if cell.state != "done":
            counts[cell.state] = counts.get(cell.state, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))


def plot(rows: Sequence[Row], measures: Sequence[str]) -> dict[str, Any]:
    """Describe the page's own figure: the first measure that has values over budget, a line a variant.

    Points are [budget, mean, standard deviation over seeds (0 for one)]; with one budget the page draws dots.
    """
    tuned = [row for row in rows if not row.setting.untuned]
    measure = next((name for name in measures if any(row.mean(name) for row in tuned)), "exact_match")
    trained = [row for row in tuned if row.mean(measure) is not None]
    lines = by_line(trained)
    looks = Styles(row.setting for row in rows).styles([own[0].setting for own in lines.values()])
    return {
        "x": "training instances per task",
        "y": find_measure(measure).label,
        "budgets": sorted_budgets(row.setting for row in trained),
        "lines": [
            _line(name, own, look, measure) for (name, own), look in zip(lines.items(), looks, strict=True)
        ],
        "levels": [
            {"name": name, "value": value, "dash": "7 4" if name == "uniform guess" else "1.5 3"}
            for name, value in levels(rows, measure)
        ],
    }


def _line(name: str, rows: Sequence[Row], look: Style, measure: str) -> dict[str, Any]:
    points = [
        [budget_on_axis(row.setting), mean.value, mean.deviation or 0]
        for row in rows
        if (mean := row.mean(measure))
    ]
    return {"name": name, "colour": look.colour, "dash": _SVG_DASHES[look.dash], "points": points}
