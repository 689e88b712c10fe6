"""`.ci/audit`: which licences are on the list, and that what could not be looked up is never said to be clean."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[1] / ".ci" / "audit"


@pytest.fixture(scope="module")
def audit() -> dict[str, Any]:
    if not FILE.is_file():
        pytest.skip("the repository's own scripts are not here")
    return runpy.run_path(str(FILE))


@pytest.mark.parametrize(
    "text",
    [
        "MIT", "Apache Software License", "Apache 2.0 License", "BSD", "3-Clause BSD License", "BSD-3-Clause",
        "Apache-2.0 OR BSD-3-Clause", "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", "MPL-2.0 AND MIT",
        "Apache-2.0 AND Apache-2.0 WITH LLVM-exception AND BSL-1.0", "MIT License, Apache Software License",
        "Mozilla Public License 2.0 (MPL 2.0)", "Python Software Foundation License", "ISC License (ISCL)",
        "GPL-3.0-only OR MIT", "MIT-CMU", "(MIT OR GPL-2.0) AND BSD",
    ],
)  # fmt: skip
def test_on_the_list(audit: dict[str, Any], text: str) -> None:
    assert audit["allowed"](text)


@pytest.mark.parametrize(
    "text",
    [
        "none declared", "GPL-3.0-only", "MIT AND GPL-3.0-only", "LGPL-2.1", "MIT, Proprietary",
        "Other/Proprietary License", "Apache-2.0 with Commons Clause", "(MIT OR Apache-2.0) AND GPL-2.0",
        "AGPL-3.0", "GNU General Public License v3 (GPLv3)", "SSPL-1.0", "CC-BY-NC-4.0", "not mit",
    ],
)  # fmt: skip
def test_not_on_the_list(audit: dict[str, Any], text: str) -> None:
    assert not audit["allowed"](text)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("", "not checked: no network"),
        ("null", "not checked: no network"),
        ({"dependencies": [{"name": "a", "skip_reason": "not on PyPI"}]}, "not checked: the database"),
        ({"dependencies": [{"name": "a", "version": "1", "vulns": []}]}, "0 known in 1 of 1 packages"),
        (
            {"dependencies": [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "x"}]},
            "0 known in 1 of 2 packages, 1 not checked",
        ),
        (
            {
                "dependencies": [
                    {"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
                ]
            },
            "a 1: CVE-1, mended in 2",
        ),
    ],
)
def test_what_was_not_looked_up_is_said(audit: dict[str, Any], output: Any, said: str) -> None:
    assert said in audit["told"](output if isinstance(output, str) else json.dumps(output))


def test_all_that_is_installed_here_is_listed(
    audit: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    audit["licences"]()
    assert "hydra-core" in capsys.readouterr().out
