"""The served page: the same page, its predictions fetched; nothing is written into the study."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from instruct_ablate.report import report
from instruct_ablate.report.view.served_page import serve_study
from instruct_ablate.report.view.server import Server
from tests.report.studies import HOSTILE, small_study
from tests.report.test_page import browser, wait_for_place

__all__ = ["browser"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = small_study(tmp_path_factory.mktemp("served") / "s")
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
    shown.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
    shown.on("pageerror", lambda error: problems.append(str(error)))
    shown.on(
        "request",
        lambda r: None if r.url.startswith((server.url, "blob:", "data:")) else problems.append(r.url),
    )
    shown.goto(server.url)
    shown.wait_for_selector("body[data-ready]", timeout=20_000)
    wait_for_place(shown, "1 of 4")
    assert shown.locator("#b-instance .answer").count() == 9
    assert HOSTILE in shown.locator("#b-instance .answer .said").first.inner_text()
    shown.locator("#b-next").click()
    wait_for_place(shown, "2 of 4")
    shown.locator("#b-right").select_option(label="original, budget 2, seed 0")
    shown.locator("#b-wrong").select_option(label="simplified, budget 2, seed 0")
    wait_for_place(shown, "1 of 1")
    shown.reload()
    shown.wait_for_selector("body[data-ready]", timeout=20_000)
    wait_for_place(shown, "1 of 1")
    shown.locator("#b-right").select_option("")
    shown.locator("#b-wrong").select_option("")
    shown.locator("#b-search").fill("PROMPT 3")
    wait_for_place(shown, "1 of 1")
    assert shown.title() != "broken"
    shown.close()
    assert problems == []
