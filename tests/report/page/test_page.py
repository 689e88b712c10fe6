"""The page in a real browser: no error, no request, filters, paging, escaping, phone width."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from instruct_ablate.report.page.page import PARTS, plot
from instruct_ablate.report.report import write_report
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.rounding import written
from tests.report.cells import make_cell
from tests.report.studies import HOSTILE, small_study, write_study


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(small_study(tmp_path_factory.mktemp("page") / "s")).page


def test_nothing_of_models_or_data_stands_in_the_html_as_it_is(page_file: Path):
    text = page_file.read_text(encoding="utf-8")
    assert HOSTILE not in text
    outside = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert "://" not in re.sub(r"data:[^\"']+", "", outside)


def test_numbers_are_written_as_everywhere_else() -> None:
    """Before: a tooltip said -0.00 of what rounding alone had made, and 47.13 where the table has 47.12."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = (PARTS / "page.js").read_text(encoding="utf-8")
    own = re.search(r"^function written.*?^}", script, flags=re.DOTALL | re.MULTILINE)
    assert own is not None
    assert script.count("toFixed") == 1
    values = [
        -1e-10,
        0.1 + 0.2 - 0.3,
        0.0,
        -0.0,
        -0.004,
        -3.75,
        47.125,
        47.375,
        -0.125,
        2.675,
        1.005,
        100.0,
        8.345,
    ]
    code = f"{own[0]} console.log(JSON.stringify({json.dumps(values)}.map(written)))"
    made = subprocess.run([node, "-e", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(made) == [written(value) for value in values]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as play:
        running = play.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"], timeout=200_000
        )
        yield running
        running.close()


@pytest.fixture
def page(browser: Any, page_file: Path) -> Iterator[Any]:
    shown = browser.new_page(viewport={"width": 1100, "height": 900})
    shown.set_default_timeout(200_000)
    shown.problems = []
    shown.on("console", lambda m: shown.problems.append(m.text) if m.type in ("error", "warning") else None)
    shown.on("pageerror", lambda e: shown.problems.append(str(e)))
    local = ("file:", "data:", "blob:")
    shown.on("request", lambda r: None if r.url.startswith(local) else shown.problems.append(r.url))
    shown.goto(f"file://{page_file}")
    shown.wait_for_selector("body[data-ready]", timeout=200_000)
    yield shown
    assert shown.problems == []
    shown.close()


@pytest.mark.browser
def test_it_loads_and_draws(page: Any):
    page.wait_for_selector("body[data-drawn]", timeout=200_000)
    names = page.locator("#plot .name").all_text_contents()
    assert names == ["original", "simplified", "untuned", "uniform guess"]
    assert page.locator("#plot polyline").count() == 2
    assert page.locator("#plot circle").count() == 4
    assert page.locator("#plot .level").count() == 2 * 2, "each with its place in the legend"
    assert page.locator("#plot circle title").first.text_content().startswith("original, budget 2: ")
    assert page.locator("#verdicts .undecided").count() == 1
    assert page.locator("#verdicts .uninformative").count() == 1


@pytest.mark.browser
def test_filters_filter_and_headings_sort(page: Any):
    rows = page.locator("#main-table tbody tr:visible")
    before = rows.count()
    page.locator("#main .filters select[data-column='0']").select_option("simplified")
    assert 0 < rows.count() < before
    assert set(page.locator("#main-table tbody tr:visible td:nth-child(1)").all_inner_texts()) == {
        "simplified"
    }
    page.locator("#main .filters [data-search]").fill("nothing has this")
    assert rows.count() == 0
    page.locator("#main .filters [data-search]").fill("")
    page.locator("#main .filters select[data-column='0']").select_option("")
    heading = page.locator("#main-table th button", has_text="exact match").first
    heading.click()
    column = page.evaluate("[...document.querySelectorAll('#main-table th')].findIndex(h => h.ariaSort)") + 1
    values = page.locator(f"#main-table tbody td:nth-child({column})").all_inner_texts()
    numbers = [float(value.split()[0]) for value in values if value[0].isdigit()]
    assert numbers == sorted(numbers)


@pytest.mark.browser
def test_a_row_leads_to_its_cells(page: Any):
    row = page.locator("#main-table tbody tr", has_text="simplified").filter(has_text="51.50").first
    row.locator("button").click()
    cells = page.locator("#cells-table tbody tr:visible")
    assert cells.count() == 2
    assert set(cells.locator("td:nth-child(4)").all_inner_texts()) == {"simplified"}
    assert len(set(cells.locator("td:nth-child(3)").all_inner_texts())) == 1


@pytest.mark.browser
def test_the_prediction_browser_pages_filters_and_searches(page: Any):
    assert page.locator("#b-place").inner_text() == "1 of 4"
    assert page.locator("#b-instance .answer").count() == 9
    page.locator("#b-instance").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#b-place").inner_text() == "2 of 4"
    page.locator("#b-right").select_option(label="original, budget 2, seed 0")
    page.locator("#b-wrong").select_option(label="simplified, budget 2, seed 0")
    assert page.locator("#b-place").inner_text() == "1 of 1"
    page.locator("#b-right").select_option("")
    page.locator("#b-wrong").select_option("")
    page.locator("#b-search").fill("PROMPT 3")
    wait_for_place(page, "1 of 1")
    page.locator("#b-search").fill("nothing has this")
    wait_for_place(page, "no instance fits")
    page.locator("#b-search").fill("")
    wait_for_place(page, "1 of 4")
    page.locator("#b-budget").select_option("8")
    assert set(page.locator("#b-instance .answer h3").all_inner_texts()) == {
        "(untuned)",
        *(f"{variant}, budget 8, seed {seed}" for variant in ("original", "simplified") for seed in (0, 1)),
    }


@pytest.mark.browser
def test_with_one_budget_it_draws_dots(browser: Any, tmp_path: Path):
    study = small_study(tmp_path / "one", budgets=(8,))
    shown = browser.new_page()
    shown.set_default_timeout(200_000)
    shown.goto(f"file://{write_report(study).page}")
    shown.wait_for_selector("body[data-drawn]", timeout=200_000)
    assert shown.locator("#plot .name").all_text_contents() == [
        "original",
        "simplified",
        "untuned",
        "uniform guess",
    ]
    assert shown.locator("#plot circle").count() == 2
    assert shown.locator("#plot polyline").count() == 0
    # Levels have a row each, where a diamond stands upon their line.
    tops = (
        "[...document.querySelectorAll('#plot .diamond')].map(d => d.getBBox()).map(b => b.y + b.height / 2)"
    )
    names = "[...document.querySelectorAll('#plot .name')].slice(2).map(n => Number(n.getAttribute('y')) - 4)"
    assert shown.evaluate(tops) == pytest.approx(shown.evaluate(names))
    shown.close()


@pytest.mark.browser
@pytest.mark.parametrize("letters", [8, 60, 150])
@pytest.mark.parametrize("draw", ["dots", "overBudgets"])
def test_long_names_stay_within_the_plot_and_apart(page: Any, draw: str, letters: int):
    boxes = page.evaluate(
        """([draw, letters]) => {
          const name = (n) => String(n).repeat(letters), budgets = draw === "dots" ? [8] : [8, 9];
          const points = budgets.map((b) => [b, b, 0]), colour = "#000000", dash = "none";
          const lines = [1, 2, 3].map((n) => ({ name: name(n), colour, dash, points }));
          const plot = { lines, levels: [{ name: name(4), value: 8, dash }], budgets, x: "x", y: "y" };
          const svg = { dots, overBudgets }[draw](plot);
          document.getElementById("plot").append(svg);
          const found = [...svg.querySelectorAll(".name")].map((one) => one.getBBox());
          return found.map((box) => [box.x, box.y, box.x + box.width]);
        }""",
        [draw, letters],
    )
    assert len(boxes) == 4
    assert all(start >= 0 for start, _, _ in boxes)
    if draw == "overBudgets":
        rows = [(start, end, y) for start, y, end in boxes]
        assert all(
            end <= other for start, end, y in rows for other, _, line in rows if line == y and other > start
        )


@pytest.mark.browser
def test_what_a_prompt_has_otherwise_is_marked_and_its_end_is_seen(page: Any):
    page.locator("#b-budget").select_option("8")
    boxes = page.locator("#b-instance .answer pre")
    first, texts = boxes.first.inner_text(), boxes.all_inner_texts()
    marks = [box.locator("mark").all_inner_texts() for box in boxes.all()]
    assert marks[0] == []
    for text, said in zip(texts, marks, strict=True):
        assert (text != first) == bool(said)
    at_end = "b => b.scrollTop + b.clientHeight >= b.scrollHeight - 1"
    ends = f"[...document.querySelectorAll('.answer pre')].every({at_end})"
    assert page.evaluate(ends)


@pytest.mark.browser
def test_an_address_leads_back_to_a_filter_and_to_an_instance(page: Any, page_file: Path):
    page.locator("#main .filters select[data-column='0']").select_option("simplified")
    address = page.evaluate("location.href")
    assert address.endswith("#main?0=simplified")
    told = page.locator("#main [data-count]").inner_text()
    page.locator("#b-instance").focus()
    page.keyboard.press("ArrowRight")
    instance = page.locator("#b-instance p").first.inner_text()
    other = page.evaluate("location.href")
    for start, selector, text in (
        (address, "#main [data-count]", told),
        (other, "#b-instance p", instance),
    ):
        page.goto("about:blank")
        page.goto(start)
        page.wait_for_selector("body[data-ready]", timeout=200_000)
        assert page.locator(selector).first.inner_text() == text
    assert page.locator("#b-place").inner_text() == "2 of 4"


@pytest.mark.browser
def test_a_table_is_downloaded_as_it_is_filtered_and_a_figure_as_it_is(page: Any, page_file: Path):
    page.locator("#main .filters select[data-column='0']").select_option("simplified")
    with page.expect_download() as table:
        page.locator("[data-csv=main]").click()
    lines = Path(table.value.path()).read_text(encoding="utf-8").splitlines()
    whole = (page_file.parent / "main.csv").read_text(encoding="utf-8").splitlines()
    assert lines == [whole[0], *(line for line in whole[1:] if line.split(",")[0] == "simplified")]
    with page.expect_download() as figure:
        page.locator("[data-save]").first.click()
    name = figure.value.suggested_filename.replace(" ", "_")
    content = Path(figure.value.path()).read_bytes()
    assert content in [path.read_bytes() for path in (page_file.parent / "figures").glob("*.svg")], name


@pytest.mark.browser
def test_printed_it_keeps_its_headings(page: Any):
    page.emulate_media(media="print")
    assert page.locator("#main-table th button").first.is_visible()
    # Chromium repeats no heading that holds a box of a button: only the first sheet would have it.
    styles = "[...document.querySelectorAll('th button')].map(b => getComputedStyle(b).display)"
    assert set(page.evaluate(styles)) == {"contents"}
    tables = (
        "[...document.querySelectorAll('table.data')].every(t => t.scrollWidth <= document.body.clientWidth)"
    )
    page.set_viewport_size({"width": 700, "height": 990})  # about an A4 sheet
    assert page.evaluate(tables), "a column would be cut off at the paper's edge"
    assert not page.locator("#browser").is_visible()
    assert not page.locator("#theme").is_visible()


@pytest.mark.browser
def test_what_is_folded_is_printed_and_folded_again(page: Any):
    shut = page.locator("details.verdict:not([open])")
    before = shut.count()
    assert before == 2
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert shut.count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert shut.count() == before


@pytest.mark.browser
def test_a_black_line_is_seen_in_the_dark_too(page: Any):
    page.wait_for_selector("body[data-drawn]", timeout=200_000)
    stroke = page.evaluate("""() => { const line = document.querySelector('#plot polyline');
        line.setAttribute('stroke', '#000000'); document.documentElement.dataset.theme = 'dark';
        return [getComputedStyle(line).stroke, getComputedStyle(document.body).color]; }""")
    assert stroke[0] == stroke[1]


@pytest.mark.browser
def test_the_first_figure_is_downloaded_with_its_style(page: Any):
    page.wait_for_selector("body[data-drawn]", timeout=200_000)
    with page.expect_download() as figure:
        page.locator("#plot-save").click()
    text = Path(figure.value.path()).read_text(encoding="utf-8")
    made = ElementTree.fromstring(text)
    assert made.tag == "{http://www.w3.org/2000/svg}svg"
    assert made[0].tag.endswith("}style")


@pytest.mark.browser
def test_what_a_model_said_stays_text(page: Any):
    assert HOSTILE in page.locator("#b-instance .answer .said").first.inner_text()
    assert page.title() != "broken"


@pytest.mark.browser
def test_themes_and_phone_width(page: Any):
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    page.locator("#theme").click()
    assert page.evaluate(ground) != before
    page.set_viewport_size({"width": 380, "height": 800})
    page.wait_for_function("document.documentElement.scrollWidth <= 380")


@pytest.mark.browser
@pytest.mark.slow
def test_a_hundred_thousand_predictions_stay_usable(browser: Any, tmp_path: Path):
    path = write_report(small_study(tmp_path / "big", count=11_000, words=200)).page
    size = path.stat().st_size
    shown, problems = browser.new_page(), []
    shown.set_default_timeout(200_000)
    shown.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    shown.on("pageerror", lambda error: problems.append(str(error)))
    shown.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else problems.append(r.url))
    started = time.perf_counter()
    shown.goto(f"file://{path}", wait_until="commit")
    shown.wait_for_selector("body[data-ready]", timeout=200_000)
    ready = time.perf_counter() - started
    painted = shown.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000
    assert shown.locator("#b-place").inner_text() == "1 of 11000"
    paging, filtering, searching = (_seconds(shown, act) for act in (_page, _filter, _search))
    sys.stdout.write(f"{size / 1e6:.1f} MB, first paint {painted:.2f} s, ready {ready:.2f} s, next {paging:.3f} s, "
          f"filter {filtering:.3f} s, search {searching:.3f} s\n")  # fmt: skip
    shown.close()
    assert problems == []
    assert size < 30e6
    # The aims are 2 s to the first paint and an instant afterwards; machines that run tests are shared.
    assert painted < 6
    assert max(paging, filtering, searching) < 6


def wait_for_place(shown: Any, told: str) -> None:
    shown.locator("#b-place", has_text=re.compile(f"^{told}$")).wait_for()


def _seconds(shown: Any, act: Callable[[Any], None]) -> float:
    started = time.perf_counter()
    act(shown)
    return time.perf_counter() - started


def _page(shown: Any) -> None:
    shown.locator("#b-next").click()
    assert shown.locator("#b-place").inner_text() == "2 of 11000"


def _filter(shown: Any) -> None:
    shown.locator("#b-right").select_option(label="original, budget 2, seed 0")
    assert shown.locator("#b-place").inner_text() == "1 of 5500"


def _search(shown: Any) -> None:
    shown.locator("#b-search").fill("prompt 10999")
    wait_for_place(shown, "1 of 1")


def test_findings_come_first_then_a_figure_then_tables(page_file: Path):
    text = page_file.read_text(encoding="utf-8")
    body = text[text.index("<main>") :]
    finding = "whether simplified is equal to original within 5 points"
    places = [body.index(one) for one in (finding, 'id="plot"', 'id="main-table"', 'id="differences-table"')]
    assert places == sorted(places)


def test_verdicts_counts_and_figures_stand_in_it(page_file: Path):
    text = page_file.read_text(encoding="utf-8")
    assert "simplified equals original on exact_match within 5 points" in text
    assert re.findall(r'<details class="verdict ([a-z-]+)"', text) == ["uninformative", "undecided"]
    assert re.findall(r"<summary><b>(.+?)</b>", text)[:2] == ["uninformative", "undecided"]
    assert "no cells to compare yet" not in text
    assert "1 failed, 1 missing" in text
    assert "exact match" in text


def test_the_interactive_figure_has_a_line_a_variant_and_a_level_each_for_guess_and_untuned():
    cells = [make_cell(5.0, data_budget=0)]
    cells += [make_cell(50.0 + b + s, data_budget=b, seed=s) for b in (2, 8) for s in (0, 1)]
    cells += [make_cell(40.0, data_budget=8, instruction="delusive")]
    made = plot(build_rows(cells), ["consistency", "exact_match"])
    assert made["budgets"] == [2, 8]
    original, delusive = made["lines"]
    assert (original["name"], delusive["name"]) == ("original", "delusive")
    assert original["points"] == [[2, 52.5, pytest.approx(0.5**0.5)], [8, 58.5, pytest.approx(0.5**0.5)]]
    assert delusive["points"] == [[8, 40.0, 0]], "one seed has no deviation"
    assert (original["dash"], delusive["dash"]) == ("", "7 4")
    assert [(level["name"], level["dash"]) for level in made["levels"]] == [
        ("untuned", "1.5 3"),
        ("uniform guess", "7 4"),
    ]
    assert made["levels"][0]["value"] == 5.0
    assert made["y"] == "exact match (classification), %"


def test_without_anything_trained_the_figure_is_empty():
    made = plot(build_rows([make_cell(5.0, data_budget=0)]), ["exact_match"])
    assert made["lines"] == made["budgets"] == []


@pytest.mark.browser
def test_answers_are_shown_under_one_template_of_a_set_until_another_is_chosen(browser: Any, tmp_path: Path):
    cells = []
    for variant in ("original", "simplified"):
        cell = make_cell(50.0, instruction=variant, prompt="plain+alpaca")
        (block,) = cell.blocks
        keys = [replace(block.key, test_instruction=variant, template=name) for name in ("plain", "alpaca")]
        blocks = [replace(block, key=key, predictions=f"predictions/{key.template}.jsonl") for key in keys]
        cells.append(replace(cell, blocks=tuple(blocks)))
    shown = browser.new_page()
    shown.set_default_timeout(200_000)
    shown.goto(f"file://{write_report(write_study(tmp_path / 's', cells)).page}")
    shown.wait_for_selector("body[data-ready]", timeout=200_000)
    assert shown.locator("#templates-table tbody tr").count() > 0
    headings = shown.locator("#b-instance .answer h3")
    assert [text.rpartition(", ")[2] for text in headings.all_inner_texts()] == ["plain"] * 2
    shown.locator("#b-template").select_option("alpaca")
    assert [text.rpartition(", ")[2] for text in headings.all_inner_texts()] == ["alpaca"] * 2
    shown.locator("#b-template").select_option("")
    assert headings.count() == 4
    shown.reload()
    shown.wait_for_selector("body[data-ready]", timeout=200_000)
    assert headings.count() == 4, "the address says so"
    shown.close()


@pytest.mark.browser
def test_without_a_set_there_is_no_template_to_choose(page: Any):
    assert not page.locator("#b-template").is_visible()
    assert page.locator("#templates-table").count() == 0
