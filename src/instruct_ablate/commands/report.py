"""`instruct-ablate report STUDY`: tables, statistics, verdicts, figures and a page of what is on disk."""

from __future__ import annotations

from pathlib import Path

import click

from instruct_ablate.terminal import echo, json_option, print_json


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help="Folder to write to; default: STUDY/report.")
@click.option("--wandb", is_flag=True, help="Log it to W&B too, as a run beside those of the study's cells.")
@click.option(
    "--checklist", is_flag=True, help="Write checklist.md too: what a paper's appendix is asked for."
)
@click.option(
    "--hypothesis",
    "hypotheses",
    multiple=True,
    help="A further claim, judged as stated now; may be repeated.",
)
@click.option(
    "--width",
    type=click.Choice(["acl", "neurips"]),
    help="Figures and LaTeX tables as wide as this style's columns and text.",
)
@json_option
def command(
    study: Path,
    output: Path | None,
    hypotheses: tuple[str, ...],
    width: str | None,
    as_json: bool,
    **further: bool,
) -> None:
    """Write the report of STUDY, and print its short form. STUDY, such as multirun/ablation, may be unfinished.

    instruct-ablate report multirun/ablation --width acl
    """
    from instruct_ablate.disk.whole_files import check_writable
    from instruct_ablate.report.figures.paper import PAPERS, SCREEN
    from instruct_ablate.report.report import report_lines, write_checklist, write_report
    from instruct_ablate.report.tables.terminal_table import print_rows
    from instruct_ablate.report.verdicts.sentences import sentences

    check_writable(output or study / "report", "--output")
    report = write_report(study, output, hypotheses, PAPERS[width] if width else SCREEN)
    said = []
    if further["checklist"]:
        said.append(f"Checklist: {write_checklist(report)}")
    if further["wandb"]:
        from instruct_ablate.report.dashboards.wandb_summary import log_summary, mirrored_logger

        said.append(f"W&B run: {log_summary(report, mirrored_logger(study))}")
    if as_json:
        from instruct_ablate.report.as_json import report_fields

        print_json(report_fields(report))
        return
    for line in sentences(report.verdicts):
        echo(line)
    print_rows(report.study, report.rows)
    for line in (*report_lines(report), f"Tables, figures and page: {report.folder}", *said):
        echo(line)
