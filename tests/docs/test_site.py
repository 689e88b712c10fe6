"""The guide's site builds without a warning and loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import TOP, pages

LOADED = re.compile(
    r"""<(?:script|img|iframe|link rel="(?:stylesheet|icon|preload)")[^>]*?(?:src|href)="?(https?:[^" >]+)"""
)


def test_what_a_page_loads_is_told_from_what_it_links_to() -> None:
    assert LOADED.findall('<script src="https://a/b.js"></script>') == ["https://a/b.js"]
    assert LOADED.findall('<link rel="stylesheet" href="https://a/b.css"><a href="https://c/">') == [
        "https://a/b.css"
    ]
    assert LOADED.findall('<script src="b.js"></script><a href="https://c/">') == []


@pytest.mark.slow
def test_the_site_builds_strictly_and_is_whole(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="needs the extra `docs` (make docs)")
    pytest.importorskip("material", reason="needs the extra `docs` (make docs)")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=TOP, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    html = {
        path.relative_to(tmp_path).as_posix(): path.read_text(encoding="utf-8")
        for path in tmp_path.rglob("*.html")
    }
    assert len(html) == len(pages())  # the README is not in it, a page for what is not found is
    assert {name: found for name, text in html.items() if (found := LOADED.findall(text))} == {}
    assert "load_study" in html["api.html"]
    assert "Return the checked configuration of one cell" in html["api.html"]
