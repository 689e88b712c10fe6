"""The Dockerfile: what it copies is there and is sent to the builder, and its torch is pyproject.toml's."""

from __future__ import annotations

import re
from pathlib import Path

import tomllib

TOP = Path(__file__).parents[1]
LINES = (TOP / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()


def words(instruction: str) -> list[list[str]]:
    return [line.split()[1:] for line in LINES if line.startswith(f"{instruction} ")]


def test_what_it_copies_is_there_and_not_ignored() -> None:
    copied = [source for *sources, _ in words("COPY") for source in sources]
    assert {"lock/sweep.txt", "pyproject.toml", "setup.py", "conf", "src"} <= set(copied)
    assert [source for source in copied if not (TOP / source).exists()] == []
    ignored = (TOP / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"
    assert {f"!{source}" for source in copied} == {line for line in ignored if line.startswith("!")}


def test_what_the_package_is_built_from_is_copied() -> None:
    """setuptools reads these; a wheel without `conf/` would start and find no choices."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    copied = {source for *sources, _ in words("COPY") for source in sources}
    assert {project["readme"], *project["license-files"]} <= copied
    (torch,) = [one for one in project["dependencies"] if one.startswith("torch==")]
    assert f"'{torch}'" in "\n".join(LINES)


def test_its_base_is_an_argument_and_copies_come_after_what_changes_seldom() -> None:
    assert ["BASE=python:3.11-slim"] in words("ARG")
    assert words("FROM") == [["${BASE}"]]
    text = "\n".join(LINES)
    assert text.index("--require-hashes") < text.index("COPY src")
    assert re.search(r"ENTRYPOINT \[\"instruct-ablate\"\]", text)
