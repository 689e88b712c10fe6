"""A study's page as it is served: the same page, its predictions fetched rather than within."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from instruct_ablate.report.page.browser import browser_head
from instruct_ablate.report.page.page import build_page, page_data
from instruct_ablate.report.page.sample import every_block
from instruct_ablate.report.report import judge_study, page_contents, page_figures
from instruct_ablate.report.rows.columns import shown_metrics
from instruct_ablate.report.view.prediction_index import PredictionIndex
from instruct_ablate.report.view.server import Server


def serve_study(folder: Path, port: int = 0) -> Server:
    """Judge a study as it stands and return the server of its page; nothing is written into the study."""
    report = judge_study(folder)
    study, blocks = report.study, every_block(report.study.cells)
    with TemporaryDirectory() as figures:
        drawn = page_figures(report, Path(figures))
        data = page_data(study, report.rows, browser_head(blocks, study.columns))
        page = build_page(page_contents(report), drawn, data, served=True)
    metrics = shown_metrics((cell for cell, _ in blocks), study.columns)
    return Server(page, PredictionIndex(study.folder, blocks, metrics), port)
