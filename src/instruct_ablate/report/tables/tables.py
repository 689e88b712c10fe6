"""Tables: the main table, tasks and categories, as Markdown, LaTeX, CSV and tidy Parquet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.legend import Legend, heading
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.cell.state.setting.trained_on import budget_on_axis
from instruct_ablate.disk.whole_files import as_utf8, whole_file, write_whole
from instruct_ablate.metrics import Score, Scores, find_measure, find_metric, mean_scores
from instruct_ablate.metrics.measures import NO_MEASURES
from instruct_ablate.report.figures.paper import SCREEN, Paper, best
from instruct_ablate.report.rows.columns import OF_THE_DATA, column_heading, group_columns, main_columns
from instruct_ablate.report.rows.seed_means import Row
from instruct_ablate.report.tables.terminal_table import Places, few_seeds, measured, unfinished
from instruct_ablate.rounding import written
from instruct_ablate.terminal import shown

CELLS, DONE = "cells", "done"  # the main table's last column
MOST_ON_A_PAGE = 45  # lines of a LaTeX table
MOST_IN_A_COLUMN = 6  # columns of a table in one of a paper's two columns
_LATEX = str.maketrans(
    {
        "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
        "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}",
        "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "[": "{[}", "]": "{]}",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and cells as text; `labels` is how many columns at the left are names, not numbers.

    `best` are the cells, by line and column, that a paper prints in bold.
    """

    title: str
    headings: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    labels: int = 1
    best: frozenset[tuple[int, int]] = frozenset()


def main_table(rows: Sequence[Row], reference: str, columns: Sequence[str] = ()) -> Table:
    """One line a setting, with what is unfinished beside it."""
    places = Places(rows)
    shown = main_columns(rows, columns)
    names = [column_heading(name, reference).replace("\n", " ") for name in shown]
    lines = []
    for row in rows:
        values = [measured(row, name) for name in shown]
        few = few_seeds(row, rows)
        state = (unfinished(row) or DONE) + (f" ({few})" if few else "")
        lines.append((*places.texts(row), *values, state))
    labels = len(places.headings)
    return Table(
        "Main table", (*places.headings, *names, CELLS), tuple(lines), labels, _best(rows, shown, labels)
    )


def _best(rows: Sequence[Row], shown: Sequence[str], labels: int) -> frozenset[tuple[int, int]]:
    judged = [(labels + i, name) for i, name in enumerate(shown) if name not in (*NO_MEASURES, *OF_THE_DATA)]
    return frozenset(
        (line, column)
        for column, name in judged
        for line in best([row.mean(name) for row in rows], find_measure(name).metric.higher_is_better)
    )


def group_table(cells: Iterable[CellRecord], by: str, columns: Sequence[str] = ()) -> Table:
    """The metrics by "category" or "task", one line a cell and group, over its templates."""
    every = tuple(cells)
    legend = Legend(cell.setting for cell in every)
    keys = legend.columns("model", "data_budget", "instruction")
    groups: list[tuple[tuple[str, ...], str, Score]] = []
    for cell in every:
        place = tuple(legend.text(cell.setting, key) for key in keys)
        for blocks in cell.tests if cell.state == "done" else ():
            where = (cell.name, *place, blocks[0].instruction, str(cell.seed))
            scores = mean_scores([block.scores for block in blocks])
            groups += [(where, category, score) for category, score in groups_of(scores, by)]
    metrics = _defined(group_columns(every, columns), [score for _, _, score in groups])
    lines = [(*where, *group_line(category, score, metrics)) for where, category, score in groups]
    named = ("cell", *map(heading, keys), "tested on", "seed", "category")
    headings = (*named, "task") if by == "task" else named
    names = (*headings, "instances", *(find_metric(one).heading.replace("\n", " ") for one in metrics))
    return Table(f"By {by}", names, tuple(lines), len(headings))


def groups_of(scores: Scores, by: str) -> list[tuple[str, Score]]:
    """Return the scores by category or task; a task's with its category."""
    tasks = [(task.category, task.score) for task in scores.tasks]
    return [("", score) for score in scores.categories] if by == "category" else tasks


def _defined(metrics: Sequence[str], scores: Sequence[Score]) -> tuple[str, ...]:
    """Leave out metrics that are defined for no line, such as those that read several cells."""
    return tuple(name for name in metrics if not scores or any(one.get(name) is not None for one in scores))


def group_line(category: str, score: Score, metrics: Sequence[str]) -> tuple[str, ...]:
    """Return a group's numbers as text."""
    names = (category, score.name) if category else (score.name,)
    values = (score.get(name) for name in metrics)
    return (*names, str(score.instances), *("-" if value is None else written(value) for value in values))


def markdown(table: Table) -> str:
    """Write a table in GitHub's Markdown."""
    rule = ["---"] * table.labels + ["---:"] * (len(table.headings) - table.labels)
    rows = [table.headings, rule, *table.lines]
    return shown("".join("| " + " | ".join(c.replace("|", r"\|") for c in row) + " |\n" for row in rows))


def latex(table: Table, caption: str, label: str = "", paper: Paper = SCREEN) -> str:
    """Write a table with booktabs' rules, ready to be put into a paper; long ones run over several pages.

    A column that says of every line that its cells are done is left out. Where a paper has two columns, a table of
    many stands over both.
    """
    table = _without_done(table)
    columns = "l" * table.labels + "r" * (len(table.headings) - table.labels)
    head = " & ".join(_tex(cell) for cell in table.headings) + r" \\"
    body = "\n".join(_tex_line(table, number) for number in range(len(table.lines)))
    told = f"\\caption{{{_tex(caption)}}}" + (f" \\label{{tab:{label}}}" if label else "")
    if len(table.lines) > MOST_ON_A_PAGE:
        one = "% longtable needs one column: put \\onecolumn before it\n" if paper.two_columns else ""
        return (
            f"% needs \\usepackage{{booktabs,longtable}}\n{one}"
            f"{{\\footnotesize\n\\begin{{longtable}}{{{columns}}}\n{told} \\\\\n"
            f"\\toprule\n{head}\n\\midrule\n\\endhead\n{body}\n\\bottomrule\n\\end{{longtable}}\n}}\n"
        )
    float_ = "table*" if paper.two_columns and len(table.headings) > MOST_IN_A_COLUMN else "table"
    return (
        f"% needs \\usepackage{{booktabs,graphicx}}\n\\begin{{{float_}}}\n\\centering\n\\small\n"
        "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head}\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}}}\n"
        f"{told}\n\\end{{{float_}}}\n"
    )


def _tex_line(table: Table, number: int) -> str:
    cells = [_tex(cell) for cell in table.lines[number]]
    bold = (f"\\textbf{{{cell}}}" if (number, at) in table.best else cell for at, cell in enumerate(cells))
    return " & ".join(bold) + r" \\"


def _without_done(table: Table) -> Table:
    if table.headings[-1] != CELLS or {line[-1] for line in table.lines} - {DONE}:
        return table
    lines = tuple(line[:-1] for line in table.lines)
    return replace(table, headings=table.headings[:-1], lines=lines)


_MINUS = re.compile(r"(?<![\w.)-])-(?=\d)")  # before a number, where no word or range ends


@lru_cache(maxsize=10_000)
def _tex(text: str) -> str:
    """Escape text; letters that pdfLaTeX's usual fonts lack become question marks."""
    signs = _MINUS.sub("\1", shown(text).replace("±", "\0").replace("…", "..."))
    known = signs.encode("latin-1", errors="replace").decode("latin-1").translate(_LATEX)
    return known.replace("\0", r"$\pm$").replace("\1", "$-$")


_NUMBER = re.compile(r"[+-]?[\d\s.,±%()\[\]*–−+-]*")  # no letter and no quotation mark: nothing to call


def comma_separated(table: Table) -> str:
    """Write a table as CSV; control characters are shown as on the terminal, where such files are read too."""
    writer = csv.writer(text := io.StringIO(), lineterminator="\n")
    for line in (table.headings, *table.lines):
        writer.writerow([_uncalculated(cell) if cell[:1] in _CALCULATED else cell for cell in line])
    return shown(text.getvalue())


_CALCULATED = frozenset("=+-@\t\r")  # what a cell begins with that a spreadsheet takes for a formula


def _uncalculated(cell: str) -> str:
    """Quote what a spreadsheet would calculate; numbers, with signs and intervals, stay as they are."""
    return f"'{cell}" if cell[:1] in _CALCULATED and not _NUMBER.fullmatch(cell) else cell


def tidy(cells: Iterable[CellRecord]) -> Iterator[dict[str, Any]]:
    """Yield one flat record per cell, test instruction, template and task: what other tools read best."""
    for place, rows in _tidy(cells):
        yield from ({**place, **row} for row in rows)


def _tidy(cells: Iterable[CellRecord]) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Yield what a cell's records share, and what each has of its own."""
    known: dict[int, tuple[Setting, dict[str, Any]]] = {}  # by object: 1, 1.0 and true are equal
    for cell in cells:
        if id(cell.setting) not in known:
            known[id(cell.setting)] = cell.setting, _setting_values(cell.setting)
        _, shown = known[id(cell.setting)]
        place = {"cell": cell.name, "identity": cell.identity, **shown, "seed": cell.seed}
        yield place, [
            {"tested_on": block.instruction, "template": block.key.template, "kind": task.kind,
             "category": task.category, "task": task.score.name, "instances": task.score.instances,
             **dict(task.score.values)}
            for block in (cell.blocks if cell.state == "done" else ())
            for task in block.scores.tasks
        ]  # fmt: skip


def place_values(cell: CellRecord) -> dict[str, Any]:
    """Return the whole setting by key, lists as text, with the contents that have names, and the seed."""
    return {**_setting_values(cell.setting), "seed": cell.seed}


def _setting_values(setting: Setting) -> dict[str, Any]:
    values = {key: setting.get(key) for key in setting.keys}
    if "data_budget" in values:
        values["data_budget"] = budget_on_axis(setting)  # not the number that stands for all
    shown = {key: setting.text(key) if isinstance(value, tuple) else value for key, value in values.items()}
    return {**shown, **{f"{key}@": revision for key, revision in setting.revisions}}


_EMPTY = (
    "cell",
    "identity",
    "tested_on",
    "template",
    "kind",
    "category",
    "task",
    "instances",
    "exact_match",
    "rougeL",
)


def write_tidy(cells: Iterable[CellRecord], path: Path) -> None:
    """Write the tidy records as Parquet."""
    import pyarrow.parquet as pq

    every = [(place, rows) for place, rows in _tidy(cells) if rows]
    own = dict.fromkeys(name for _, rows in every for row in rows for name in row)
    names: dict[str, None] = {}  # as they come in the rows: a further metric may be some cells' alone
    for place, rows in every:
        names |= dict.fromkeys(place)
        for row in rows:
            names |= dict.fromkeys(row)
    columns: dict[str, list[Any]] = {name: [] for name in names or _EMPTY}
    for name, column in columns.items():
        for place, rows in every:
            value = place.get(name)
            column.extend([row.get(name, value) for row in rows] if name in own else [value] * len(rows))
    with whole_file(path, durable=False) as temporary:
        pq.write_table(_arrow(columns), temporary)


def _arrow(columns: Mapping[str, Sequence[Any]]) -> Any:
    """Make an arrow table; values of a study that are not of one type, as a text among numbers, are all texts."""
    import pyarrow as pa

    made = {}
    for name, values in columns.items():
        texts = {value for value in set(values) if isinstance(value, str)}  # few, however many rows
        odd = {text: escaped for text in texts if (escaped := as_utf8(text)) != text}
        plain = (
            [odd.get(value, value) if isinstance(value, str) else value for value in values]
            if odd
            else values
        )
        try:
            made[as_utf8(name)] = pa.array(plain)
        except pa.ArrowException:
            made[as_utf8(name)] = pa.array([None if value is None else str(value) for value in plain])
    return pa.table(made)


def write_table(
    table: Table,
    stem: Path,
    caption: str,
    machines: Table | None = None,
    paper: Paper = SCREEN,
    study: str = "",
) -> None:
    """Write a table in all three text forms; as CSV the one for machines, where that is another.

    Its LaTeX label names the study too: a paper may show tables of two.
    """
    label = re.sub(r"[^\w.:]+", "-", f"{study}-{stem.name}" if study else stem.name, flags=re.ASCII)
    write_whole(stem.with_suffix(".md"), markdown(table))
    write_whole(stem.with_suffix(".csv"), comma_separated(machines or table))
    write_whole(stem.with_suffix(".tex"), latex(table, caption, label, paper))
