"""The report of a study: tables, statistics, verdicts, figures and a page, from what is on disk at any moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.disk.whole_files import write_whole
from instruct_ablate.grid.history.stated import begun, history, standing
from instruct_ablate.grid.study import Study, read_study
from instruct_ablate.hypotheses import Hypothesis, parse_hypothesis, stored_hypothesis
from instruct_ablate.report.changed_predictions import changed_line, changed_predictions
from instruct_ablate.report.documents import provenance
from instruct_ablate.report.documents.checklist import checklist
from instruct_ablate.report.figures.figures import draw_figures
from instruct_ablate.report.figures.paper import SCREEN, Paper, groups_caption, main_caption
from instruct_ablate.report.figures.score_curves import score_curve_table
from instruct_ablate.report.page.page import Contents, build_page, page_data
from instruct_ablate.report.rows.across_cells import with_metrics_over_cells
from instruct_ablate.report.rows.chosen_rates import chosen_lines
from instruct_ablate.report.rows.columns import main_columns
from instruct_ablate.report.rows.computed import apart_in
from instruct_ablate.report.rows.seed_means import Row, build_rows
from instruct_ablate.report.rows.single_scores import SingleScores
from instruct_ablate.report.second_process import Beside
from instruct_ablate.report.tables.differences import (
    Difference,
    difference_caption,
    difference_table,
    differences,
)
from instruct_ablate.report.tables.general import CAPTION as CAPTION_OF_GENERAL
from instruct_ablate.report.tables.general import General, general_abilities, general_lines, general_table
from instruct_ablate.report.tables.pivot import pivot_table
from instruct_ablate.report.tables.power_laws import (
    CAPTION,
    OverBudgets,
    over_budgets,
    power_lines,
    power_table,
)
from instruct_ablate.report.tables.tables import (
    comma_separated,
    group_table,
    main_table,
    write_table,
    write_tidy,
)
from instruct_ablate.report.tables.template_table import over_templates, template_table
from instruct_ablate.report.verdicts.at_looks import judge_all, looks_of
from instruct_ablate.report.verdicts.verdicts import Verdict, lines


@dataclass(frozen=True)
class Report:
    """What a report found and where its files are."""

    study: Study
    rows: tuple[Row, ...]
    verdicts: tuple[Verdict, ...]
    differences: tuple[Difference, ...]
    folder: Path
    _changed: Beside[tuple[str, ...]] | None = None  # where they are looked for already

    @property
    def page(self) -> Path:
        """The HTML page."""
        return self.folder / "index.html"

    @cached_property
    def power_laws(self) -> tuple[OverBudgets, ...]:
        """The curves over budgets, fitted once."""
        return over_budgets(self.study.cells, self.study.reference, self.study.columns)

    @cached_property
    def general(self) -> tuple[General, ...]:
        """General ability and what was forgotten of it."""
        return general_abilities(self.study.cells, self.study.reference, self.study.folder)

    @cached_property
    def changed(self) -> tuple[str, ...]:
        """The files of predictions, below the study's folder, that were changed after they were scored."""
        return self._changed.result() if self._changed else changed_predictions(self.study)


def write_report(
    study_folder: Path, target: Path | None = None, further: Sequence[str] = (), paper: Paper = SCREEN
) -> Report:
    """Write a study's report into `target` (default: <study>/report); the same disk gives the same files.

    Figures and LaTeX tables are as wide as a `paper` has room for.
    """
    study, rows = _read(study_folder)
    claims, folder = _claims(study, further), target or study.folder / "report"
    data = Beside(partial(page_data, study, rows))  # reads predictions, of which no verdict is made
    changed = Beside(partial(changed_predictions, study))
    scores = SingleScores(study.cells, study.folder)
    found = differences(study.cells, study.reference, study.columns, scores)
    folder.mkdir(parents=True, exist_ok=True)
    figures = Beside(partial(draw_figures, folder / "figures", rows, found, study, paper))  # show no verdict
    report = Report(study, rows, _verdicts(study, claims, further, scores), found, folder, changed)
    _write(report, paper, figures, data)
    return report


def judge_study(study_folder: Path, target: Path | None = None, further: Sequence[str] = ()) -> Report:
    """Work out a study's report and write nothing.

    `further` hypotheses are judged beside the study's own, as stated after the cells that have begun by now.
    """
    study, rows = _read(study_folder)
    scores = SingleScores(study.cells, study.folder)
    verdicts = _verdicts(study, _claims(study, further), further, scores)
    found = differences(study.cells, study.reference, study.columns, scores)
    return Report(study, rows, verdicts, found, target or study.folder / "report")


def _read(study_folder: Path) -> tuple[Study, tuple[Row, ...]]:
    study = read_study(study_folder)
    return study, with_metrics_over_cells(build_rows(study.cells, study.reference), study)


def _claims(study: Study, further: Sequence[str]) -> list[Hypothesis]:
    """Return the study's own hypotheses and the further ones; `UserError` where one of these cannot be read."""
    asked = {text: parse_hypothesis(text) for text in further}
    own = {text: stored_hypothesis(text) for text in study.hypotheses}
    return list({**own, **asked}.values())


def _verdicts(
    study: Study, claims: Sequence[Hypothesis], further: Sequence[str], scores: SingleScores
) -> tuple[Verdict, ...]:
    judged = judge_all(study, claims, scores)
    return tuple(replace(one, stated=_standing(one, study, further)) for one in judged)


def _standing(verdict: Verdict, study: Study, further: Sequence[str]) -> str:
    text, stated = verdict.hypothesis.text, study.stated
    return standing(text, stated, begun(study.folder), alone=text in further and text not in study.hypotheses)


def report_lines(report: Report) -> Iterator[str]:
    """Yield the verdicts as text, then what was stated when."""
    yield from lines(report.verdicts)
    powers = power_lines(report.power_laws, Legend(cell.setting for cell in report.study.cells))
    for heading, said in (
        ("Power law (a n^-b + c)", powers),
        ("General ability", general_lines(report.general)),
        ("Stated", history(report.study.stated)),
        ("Looks", looks_of(report.study)),
        ("Learning rates chosen on held-out tasks", chosen_lines(report.study.cells)),
        ("Not computed alike", apart_in(report.study)),
        ("Not the predictions that were scored", [changed_line(report.changed)] if report.changed else []),
    ):
        for number, line in enumerate(said):
            yield from () if number else (f"{heading}:",)
            yield f"    {line}"


def write_checklist(report: Report) -> Path:
    """Write the answers to the Responsible NLP checklist beside the report; return where they are."""
    path = report.folder / "checklist.md"
    write_whole(path, checklist(report.study))
    return path


def page_contents(report: Report) -> Contents:
    """Lay out the tables of the page."""
    study, legend = report.study, Legend(cell.setting for cell in report.study.cells)
    return Contents(
        study,
        report.rows,
        report.verdicts,
        main=main_table(report.rows, study.reference, study.columns),
        differences=difference_table(report.differences, legend),
        differences_said=difference_caption(report.differences),
        groups=pivot_table(study.cells, "category", study.reference, study.columns),
        tasks=pivot_table(study.cells, "task", study.reference, study.columns),
        templates=template_table(over_templates(study.cells, study.reference, study.columns), legend),
        powers=power_table(report.power_laws, legend),
        general=general_table(report.general, legend),
        general_said=tuple(general_lines(report.general)),
    )


def page_figures(report: Report, folder: Path) -> tuple[Path, ...]:
    """Draw the page's figures into a folder."""
    return draw_figures(folder, report.rows, report.differences, report.study)


def _write(report: Report, paper: Paper, figures: Beside[tuple[Path, ...]], data: Beside[str]) -> None:
    study, folder = report.study, report.folder
    contents = replace(page_contents(report), changed=changed_line(report.changed))
    write = partial(write_table, paper=paper, study=study.name)
    categories, tasks = (group_table(study.cells, by, study.columns) for by in ("category", "task"))
    shown = main_columns(report.rows, study.columns)
    write(contents.main, folder / "main", main_caption(study.name, report.rows, shown) if report.rows else "")
    told = f"{study.name}: differences to {study.reference}. {difference_caption(report.differences)}"
    write(contents.differences, folder / "differences", told)
    over = groups_caption(report.rows) if report.rows else ""
    write(contents.groups, folder / "categories", f"{study.name} by category: {over}", categories)
    write(contents.tasks, folder / "tasks", f"{study.name} by task: {over}", tasks)
    if (curves := score_curve_table(study)).lines:
        told = "scores on a sample of the test instances while training, means over cells."
        write(curves, folder / "score_curves", f"{study.name}: {told}")
    if contents.templates.lines:
        told = "each setting under every template: mean, standard deviation over templates, worst and best."
        write(contents.templates, folder / "templates", f"{study.name}, {told}")
    if contents.general.lines:
        write(contents.general, folder / "general", f"{study.name}, general ability. {CAPTION_OF_GENERAL}")
    if contents.powers.lines:
        write(contents.powers, folder / "power_law", f"{study.name}, {CAPTION}")
    write_tidy(study.cells, folder / "tidy.parquet")
    write_whole(folder / "verdicts.txt", "".join(f"{line}\n" for line in report_lines(report)))
    write_whole(folder / "cells.csv", comma_separated(provenance.cell_table(study.cells)))
    write_whole(folder / "provenance.json", provenance.to_json(study.cells))
    write_whole(report.page, build_page(contents, figures.result(), data.result()))
