"""The served page: the same page, its predictions fetched; nothing is written into the study."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.state.record.predictions import read_predictions, to_line
from instruct_ablate.grid.study import read_study
from instruct_ablate.report import report
from instruct_ablate.report.page.sample import every_block
from instruct_ablate.report.view.served_page import serve_study
from instruct_ablate.report.view.server import Server
from tests.report.page.test_page import browser, wait_for_place
from tests.report.studies import HOSTILE, small_study

__all__ = ["browser"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_study(tmp_path_factory.mktemp("served") / "s")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    before = sorted(folder.rglob("*"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "draw_figures", lambda *_: ())  # drawn as a report's are
        served = serve_study(folder)
    with served as made:
        assert sorted(folder.rglob("*")) == before
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_the_page_holds_no_predictions_and_may_ask_where_it_comes_from(server: Server):
    text = server.page.decode()
    assert "connect-src 'self'" in text
    assert HOSTILE not in text
    assert "simplified equals original on exact_match within 5 points" in text


@pytest.mark.browser
def test_it_pages_filters_and_searches_as_the_page_does(server: Server, browser: Any):
    shown, problems = browser.new_page(), []
    shown.set_default_timeout(200_000)
    shown.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
    shown.on("pageerror", lambda error: problems.append(str(error)))
    shown.on(
        "request",
        lambda r: None if r.url.startswith((server.url, "blob:", "data:")) else problems.append(r.url),
    )
    shown.goto(server.url)
    shown.wait_for_selector("body[data-ready]", timeout=200_000)
    wait_for_place(shown, "1 of 4")
    assert shown.locator("#b-instance .answer").count() == 9
    assert HOSTILE in shown.locator("#b-instance .answer .said").first.inner_text()
    shown.locator("#b-next").click()
    wait_for_place(shown, "2 of 4")
    shown.locator("#b-right").select_option(label="original, budget 2, seed 0")
    shown.locator("#b-wrong").select_option(label="simplified, budget 2, seed 0")
    wait_for_place(shown, "1 of 1")
    shown.reload()
    shown.wait_for_selector("body[data-ready]", timeout=200_000)
    wait_for_place(shown, "1 of 1")
    shown.locator("#b-right").select_option("")
    shown.locator("#b-wrong").select_option("")
    shown.locator("#b-search").fill("PROMPT 3")
    wait_for_place(shown, "1 of 1")
    assert shown.title() != "broken"
    shown.close()
    assert problems == []


@pytest.mark.browser
def test_prompts_that_differ_in_several_places_are_marked_word_by_word(
    server: Server, browser: Any, folder: Path
):
    study = read_study(folder)
    prompts = (
        "Say if the text is rude, and say why: i0",
        "Say whether the text is rude, and say how: i0",
        "Say if the text is rude: i0",
        "Say if the is rude, and say why: i0",
    )
    for (cell, block), prompt in zip(every_block(study.cells), prompts, strict=False):
        path = folder / cell.name / block.predictions
        row = replace(read_predictions(path)[0], prompt=prompt)
        path.write_text(f"{to_line(row)}\n", encoding="utf-8")
    shown = browser.new_page()
    shown.set_default_timeout(200_000)
    shown.goto(server.url)
    shown.wait_for_selector("body[data-ready]", timeout=200_000)
    cards = [shown.locator("#b-instance .answer").nth(place) for place in range(len(prompts))]
    assert [card.locator("pre").text_content() for card in cards] == list(prompts), "a mark adds no letter"
    marks = [[text.strip() for text in card.locator("mark:not(.gone)").all_text_contents()] for card in cards]
    assert marks == [[], ["whether", "how:"], ["rude:"], []]
    assert [card.locator("mark.gone").count() for card in cards] == [0, 0, 0, 1]
    said = [card.locator(".otherwise").all_text_contents() for card in cards]
    assert said[:2] + said[3:] == [[], ["otherwise: whether | how:"], ["otherwise: words left out"]]
    shown.close()
