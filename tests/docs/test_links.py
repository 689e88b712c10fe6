"""Links of the README and of the guide's pages lead to files and headings that are there, on GitHub and in the site."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.docs.blocks import DOCS, TOP, pages

PAGES = [*pages(), *(TOP / name for name in ("AGENTS.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"))]
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield the file and the heading that each link within the repository leads to."""
    for target in _LINK.findall(re.sub(r"`[^`\n]*`", "", prose(page))):
        if not re.match(r"[a-z]+:", target):
            name, _, anchor = target.partition("#")
            yield (page.parent / name).resolve() if name else page, anchor


def anchors(page: Path) -> set[str]:
    """Name the headings of a page as GitHub and the site do."""
    bare = (
        re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in _HEADING.findall(prose(page))
    )
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in bare}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(TOP).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), f"{target.name} is not there"
        assert not anchor or anchor in anchors(target), f"{target.name} has no heading {anchor!r}"


def test_headings_are_named_as_github_does(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `name` of [two](x.md), words\n\n```\n# no heading\n```\n[up](#a-name-of-two-words)\n"
    )
    assert anchors(page) == {"a-name-of-two-words"}
    assert list(links(page)) == [(tmp_path / "x.md", ""), (page, "a-name-of-two-words")]


@pytest.mark.parametrize(
    "page", [page for page in pages() if DOCS in page.parents], ids=lambda page: page.name
)
def test_links_of_the_site_stay_in_the_site(page: Path) -> None:
    for target, _ in links(page):
        assert DOCS in target.parents, f"{target} is no page of the site"
        assert target.is_file(), f"{target} is a folder: a site has none"


def listed(nav: object) -> Iterator[str]:
    """Yield the pages of a navigation, nested as it may be."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, (dict, list)):
        for one in nav.values() if isinstance(nav, dict) else nav:
            yield from listed(one)


def test_the_navigation_lists_every_page_once() -> None:
    nav = yaml.safe_load((TOP / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(listed(nav)) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


def test_the_guide_lists_every_page() -> None:
    index = {target for target, _ in links(DOCS / "README.md")}
    assert set(DOCS.glob("*.md")) - {DOCS / "README.md"} <= index


def documented(path: str) -> bool:
    """Whether a module, or a name at the top of one, is there and has a docstring; nothing is imported."""
    file = TOP / "src" / f"{path.replace('.', '/')}.py"
    if file.is_file():
        return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) is not None
    module = TOP / "src" / f"{path.rpartition('.')[0].replace('.', '/')}.py"
    kinds = (ast.FunctionDef, ast.ClassDef)
    body = ast.parse(module.read_text(encoding="utf-8")).body if module.is_file() else []
    own = [one for one in body if isinstance(one, kinds) and one.name == path.rpartition(".")[2]]
    return bool(own) and ast.get_docstring(own[0]) is not None


def test_the_api_page_names_what_is_there_and_documented() -> None:
    assert not documented("instruct_ablate.python_api.nothing")
    for block in re.split(r"^::: ", (DOCS / "api.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        path = block.partition("\n")[0]
        members = re.search(r"members: \[(.*)\]", block)
        for name in [path, *(f"{path}.{one}" for one in members[1].split(", "))] if members else [path]:
            assert documented(name), name
