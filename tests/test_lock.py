"""The lock: every requirement of pyproject.toml pinned within its range, with hashes and without an index's address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parents[1]
LOCKS = ("sweep.txt", "all.txt")
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OUTSIDE = {"torch"}  # its builds differ by machine


def text(lock: str) -> str:
    return (TOP / "lock" / lock).read_text(encoding="utf-8")


def pins(lock: str) -> dict[str, set[str]]:
    """The versions of each name; several where Python versions differ."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)", text(lock), re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def asked(lock: str) -> list[Requirement]:
    """What pyproject.toml asks for directly, with the extras of `make setup` in the whole lock."""
    extras = re.findall(r"^EXTRAS \?= (.*)$", (TOP / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    further = extras[0].split(",") if lock == "all.txt" else []
    lines = [*PROJECT["dependencies"], *(one for e in further for one in PROJECT["optional-dependencies"][e])]
    return [one for one in map(Requirement, lines) if canonicalize_name(one.name) not in OUTSIDE]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_direct_requirement_is_pinned_within_its_range(lock: str) -> None:
    there = pins(lock)
    wanted = asked(lock)
    assert len(wanted) > 15
    lacking = [one.name for one in wanted if canonicalize_name(one.name) not in there]
    assert lacking == [], "pin them: make lock"
    outside = [
        f"{one}: {version}"
        for one in wanted
        for version in there[canonicalize_name(one.name)]
        if not one.specifier.contains(version, prereleases=True)
    ]
    assert outside == [], "pin them anew: make lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash_and_nothing_names_an_index(lock: str) -> None:
    kinds = re.compile(r"[a-z0-9][a-z0-9._-]*==\S+( ; .*)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    lines = text(lock).splitlines()
    assert [line for line in lines if not kinds.fullmatch(line)] == []
    heads = [number for number, line in enumerate(lines) if "==" in line and not line.startswith(" ")]
    assert all(lines[number + 1].startswith("    --hash=") for number in heads)


def test_torch_stands_outside_and_a_sweeps_pins_are_those_of_the_whole() -> None:
    sweep, every = map(pins, LOCKS)
    assert not any(name in OUTSIDE or name.startswith(("nvidia-", "triton")) for name in every)
    assert sweep.items() <= every.items()
    assert {"pytest", "ruff", "mypy", "playwright", "mlflow-skinny"} & sweep.keys() == set()


def test_make_and_the_image_install_from_it() -> None:
    make = (TOP / "Makefile").read_text(encoding="utf-8")
    assert "--require-hashes --no-deps -r $(LOCK)/$(1)" in make
    assert {"$(call install,sweep.txt,.)", "$(call install,all.txt,.[$(EXTRAS)])"} <= set(
        re.findall(r"\$\(call .*\)", make)
    )
    assert (
        "--require-hashes --no-deps -r /opt/instruct-ablate/lock/sweep.txt"
        in (TOP / "Dockerfile").read_text()
    )
    assert "make setup" in (TOP / ".ci" / "run").read_text(encoding="utf-8")
