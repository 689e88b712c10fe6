"""The end of a sweep: what its hypotheses came to, in words, and where to look next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from instruct_ablate.grid.study import Study
from instruct_ablate.report.changed_predictions import changed_line
from instruct_ablate.report.report import Report, write_report
from instruct_ablate.report.rows.computed import apart_in
from instruct_ablate.report.statistics.claim import Answer
from instruct_ablate.report.statistics.finding import Finding, deciding
from instruct_ablate.report.verdicts.sentences import sentences
from instruct_ablate.report.verdicts.verdicts import Verdict
from instruct_ablate.terminal import echo

GUESS = "uniform_guess"
STANDING: dict[Answer, str] = {"supported": "shown to be", "refuted": "shown not to be"}


def close(folder: Path) -> None:
    """Write a study's report, and say its verdicts, where the report is and what to type next."""
    for line in closing_lines(write_report(folder)):
        echo(line)


def closing_lines(report: Report) -> Iterator[str]:
    """Yield what stands below the table of a sweep that ends with its report."""
    for verdict in report.verdicts:
        yield from verdict_words(verdict)
    yield from above_guess(report.verdicts)
    if apart := apart_in(report.study):
        yield f"Not computed alike: {'; '.join(apart)}"
    if report.changed:
        yield f"Not the predictions that were scored: {changed_line(report.changed)}"
    yield f"Report: {report.folder} (more on the verdicts: verdicts.txt)"
    yield f"Page:   {report.page}"
    yield from next_command(report.study)


def verdict_words(verdict: Verdict) -> Iterator[str]:
    """Yield a verdict in a sentence, the places that it leaves out, and what would decide each where it is open."""
    yield from sentences([verdict])
    yield from (f"    {one}" for one in verdict.left_out)
    for finding in verdict.findings:
        if finding.answer == "undecided":
            yield f"    open at {finding.place}: {deciding(finding)}"


def above_guess(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Say which rows are shown to stand above the guess, which are shown not to, and which are open."""
    claims = [one for verdict in verdicts for one in verdict.findings if _of_guess(one)]
    if not claims:
        return
    rows: dict[str, list[str]] = {"shown to be": [], "shown not to be": [], "open": []}
    for one in claims:
        rows[STANDING.get(one.answer, "open")].append(f"{one.clause.left} ({one.place})")
    yield "Above the uniform guess:"
    yield from (f"    {heading}: {', '.join(which) or 'no row'}" for heading, which in rows.items())


def _of_guess(finding: Finding) -> bool:
    return finding.clause.verb == "exceeds" and finding.clause.right == GUESS and not finding.clause.margin


def next_command(study: Study) -> Iterator[str]:
    """Yield the command that shows what a trained cell was asked and answered."""
    trained = [cell for cell in study.cells if cell.state == "done" and not cell.setting.untuned]
    if trained:
        yield f"Next:   instruct-ablate show {shlex.quote(str(study.folder / trained[-1].name))} --wrong"
