"""What a file of the user's imports of theirs counts as the file itself does, and is run as it was hashed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.configuration import own_modules
from instruct_ablate.configuration.extensions import load_extensions, load_function
from instruct_ablate.configuration.own_modules import content_with_modules, modules_of
from instruct_ablate.errors import UserError
from instruct_ablate.instruction.catalogue import find
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.variant import VARIANTS
from instruct_ablate.metrics.registry import load_metrics
from instruct_ablate.prompt.template import TEMPLATES
from instruct_ablate.schema import InstructionConfig
from tests.conftest import make_task
from tests.standins import make_config, replace_inputs

VARIANT = """
from dataclasses import replace
from instruct_ablate.instruction.variant import variant
{imports}


@variant("definition")
def imw_said(task, context):
    {inside}
    return replace(task, definition={text})
"""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write files of the user's into a folder that is not the working directory; their time of change stands still."""
    folder = tmp_path / "code"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.setattr(own_modules, "_HASHED", {})
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # as for users
    monkeypatch.setattr("instruct_ablate.prompt.template.TEMPLATES", dict(TEMPLATES))
    monkeypatch.setattr(
        "instruct_ablate.metrics.registry._METRICS", dict(load_metrics.__globals__["_METRICS"])
    )
    for slot, known in VARIANTS.items():
        monkeypatch.setitem(VARIANTS, slot, dict(known))
    before = set(sys.modules)

    def writes(name: str, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1_000_000_000,) * 2)
        return path

    yield writes
    for name in set(sys.modules) - before:
        if name.startswith("imw_"):
            del sys.modules[name]


def variant(imports: str = "", text: str = "words()", inside: str = "pass") -> str:
    return VARIANT.format(imports=imports, text=text, inside=inside)


def said() -> str:
    return find("definition", "imw_said").function(make_task(), Context(0)).definition


def fresh() -> None:
    """As in another process, but for what Python has compiled."""
    for name in [name for name in sys.modules if name.startswith("imw_")]:
        del sys.modules[name]


def test_a_file_alone_has_the_hash_that_it_always_had(write: Write) -> None:
    import hashlib

    file = write(
        "imw_alone.py", "import json, numpy.linalg\nfrom instruct_ablate.errors import UserError\nx = 1\n"
    )
    assert load_extensions([str(file)]) == (hashlib.sha256(file.read_bytes()).hexdigest(),)
    write("imw_empty/__init__.py", "")
    packaged = write("imw_empty/m.py", "y = 1\n")
    content = content_with_modules(packaged, packaged.read_bytes(), "imw_empty.m")
    assert content == hashlib.sha256(packaged.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("imports", "inside", "files"),
    [
        ("from imw_words import words", "pass", {"imw_words.py": "def words(): return '{}'"}),
        ("", "from imw_words import words", {"imw_words.py": "def words(): return '{}'"}),
        (
            "from imw_pack.words import words",
            "pass",
            {
                "imw_pack/words.py": "from .deep import TEXT\ndef words(): return TEXT",
                "imw_pack/deep.py": "TEXT = '{}'",
            },
        ),
        (
            "from imw_pack import words",
            "pass",
            {
                "imw_pack/__init__.py": "from .words import words",
                "imw_pack/words.py": "def words(): return '{}'",
            },
        ),
        (
            "import imw_one",
            "words = imw_one.words",
            {
                "imw_one.py": "import imw_two\nwords = lambda: imw_two.T",
                "imw_two.py": "import imw_one\nT = '{}'",
            },
        ),
    ],
    ids=["beside", "inside a function", "package without __init__", "package", "each other"],
)
def test_a_module_beside_the_file_counts_and_is_run_as_hashed(
    write: Write, imports: str, inside: str, files: dict[str, str]
) -> None:
    """Of the same size and time of change: what Python has compiled of it must not stand in either."""
    file = write("imw_variant.py", variant(imports, inside=inside))
    seen = {}
    for text in ("one", "two", "one"):
        for name, code in files.items():
            write(name, code.format(text))
        fresh()
        (content,) = load_extensions([str(file)])
        assert said() == text
        assert seen.setdefault(text, content) == content
    assert len(set(seen.values())) == 2


def test_a_checkout_of_a_library_is_none_of_the_users_own(write: Write) -> None:
    file = write("imw_variant.py", "import transformers.models\nfrom instruct_ablate import errors\n")
    write("transformers/__init__.py", "x = 1")
    assert modules_of(file, file.read_bytes()) == ()


def test_a_module_that_changed_under_the_process_is_refused(write: Write) -> None:
    write("imw_words.py", "def words(): return 'one'")
    file = write("imw_variant.py", variant("", inside="from imw_words import words"))
    load_extensions([str(file)])
    write("imw_words.py", "def words(): return 'two'")
    load_extensions([str(file)])  # it has not been imported yet
    assert said() == "two"
    write("imw_words.py", "def words(): return 'six'")
    with pytest.raises(
        UserError, match=r"imw_words.py has changed since this process imported it: run .* again"
    ):
        load_extensions([str(file)])


def test_a_file_that_its_module_imports_in_turn_is_run_again_when_it_is_edited(write: Write) -> None:
    write("imw_words.py", "def words():\n    import imw_variant\n    return imw_variant.TEXT\n")
    for text in ("one", "two"):
        file = write("imw_variant.py", variant(f"from imw_words import words\nTEXT = '{text}'"))
        load_extensions([str(file)])
        assert said() == text


def test_modules_of_one_name_are_told_apart(write: Write) -> None:
    write("a/imw_words.py", "def words(): return 'one'")
    write("b/imw_words.py", "def words(): return 'two'")
    first, second = (write(f"{one}/imw_{one}.py", variant("from imw_words import words")) for one in "ab")
    load_extensions([str(first)])
    with pytest.raises(
        UserError, match=r"b/imw_words.py: .*a/imw_words.py is a module of that name, too: rename"
    ):
        load_extensions([str(second)])
    write("a/statistics.py", "")
    with pytest.raises(
        UserError, match=r"statistics.py: Python has a module of that name, too: rename the file"
    ):
        modules_of(first, b"import statistics")


def test_the_identity_of_a_cell_holds_what_its_variant_imports(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_inputs(monkeypatch)
    file = write("imw_variant.py", variant("from imw_words import words"))
    monkeypatch.chdir(file.parent)
    for extensions, name in (([str(file)], "imw_said"), ([], "imw_variant.imw_said")):
        hashes = set()
        for text in ("one", "two"):
            write("imw_words.py", f"def words(): return '{text}'")
            fresh()
            config = make_config(file.parent, instruction=InstructionConfig(name), extensions=extensions)
            hashes.add(identify(config).hash)
        assert len(hashes) == 2


def test_the_code_of_a_metric_holds_what_it_imports(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is by this that a sweep scores anew and reports tell cells of several rules."""
    file = write(
        "imw_metric.py",
        "from instruct_ablate.metrics import metric\nfrom imw_rule import rule\n\n\n"
        "@metric('imw_score')\ndef score(prediction, references):\n    return rule(prediction)\n",
    )
    monkeypatch.chdir(file.parent)
    codes = []
    for value in ("0.0", "1.0"):
        write("imw_rule.py", f"def rule(text): return {value}")
        fresh()
        own_modules._HASHED.clear()
        monkeypatch.delitem(load_metrics.__globals__["_METRICS"], "imw_score", raising=False)
        load_function("imw_metric.score", "evaluation.metrics")
        (made,) = [one for one in load_metrics(["imw_metric.score"]) if one.name == "imw_score"]
        assert made.score("", []) == float(value)
        codes.append(made.code)
    assert len(set(codes)) == 2
