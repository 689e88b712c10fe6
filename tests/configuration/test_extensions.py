from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.identity import functions, identify
from instruct_ablate.configuration.extensions import (
    DECORATORS,
    admit,
    called,
    check_arguments,
    code_of,
    load_extensions,
    load_function,
    raised_by_own,
)
from instruct_ablate.errors import UserError
from instruct_ablate.instruction.catalogue import find
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.instruction.variant import VARIANTS, Variant
from instruct_ablate.metrics.registry import built_in
from instruct_ablate.metrics.scoring import score_prediction
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.template import TEMPLATES, find_template, rendered
from instruct_ablate.schema import InstructionConfig, PromptConfig, TasksConfig
from instruct_ablate.tasks.collection import find_reader  # noqa: F401 - the decorators
from instruct_ablate.tasks.readers import own as own_reader
from tests.conftest import make_task
from tests.prompt.words import WordTokens
from tests.standins import make_config, replace_inputs

OWN = """
from pathlib import Path

from instruct_ablate.prompt.template import template

Path("ran").touch()


@template
def mine(instruction, instance, room):
    return ""


def other(instruction, instance, room):
    return ""
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of the user's in the working directory."""
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return name


@pytest.mark.parametrize("key", DECORATORS)
@pytest.mark.parametrize("path", ["os.execvp", "builtins.eval", "subprocess.run"])
def test_any_function_is_none_of_ours(key: str, path: str) -> None:
    with pytest.raises(UserError, match="decorate the function with @"):
        load_function(path, key)


def test_a_function_is_used_for_what_it_was_decorated_for(own: str) -> None:
    assert load_function(f"{own}.mine", "prompt.template").__name__ == "mine"
    with pytest.raises(UserError, match="@template"):
        load_function(f"{own}.other", "prompt.template")
    with pytest.raises(UserError, match="@reader"):
        load_function(f"{own}.mine", "tasks.reader")


@pytest.mark.parametrize("path", [".f", "..f", "\0.f", "/x.f", "a b.f"])
def test_odd_names_are_refused(path: str) -> None:
    with pytest.raises(UserError, match=r"cannot import|not meant|write module.function"):
        load_function(path, "prompt.template")


def test_a_module_that_ends_the_process_is_told_as_one_that_raises(own: str) -> None:
    """Before: a command ended with that word alone."""
    Path(f"{own}.py").write_text("import sys\n\nsys.exit('enough')\n")
    with pytest.raises(
        UserError, match=rf"prompt.template '{own}.f': .*\(SystemExit: enough, {own}.py, line 3\)"
    ):
        load_function(f"{own}.f", "prompt.template")


def test_what_a_study_names_is_refused_with_the_line_to_type(own: str) -> None:
    with pytest.raises(UserError, match=f"`rescore S --extensions {own}.py`.*`rescore S --trust`"):
        admit([f"{own}.mine"], [], False, "rescore S")
    with pytest.raises(UserError, match=f"`rescore S --extensions {own}.py`"):  # not the file of variants
        admit([f"{own}.mine"], ["my_variants.py"], False, "rescore S")
    with pytest.raises(UserError, match=f"`rescore S --extensions sub/{own}.py`"):
        admit([f"{own}.mine"], ["my_variants.py", f"sub/{own}.py"], False, "rescore S")
    assert not Path("ran").exists()
    load_extensions([f"{own}.py"])
    admit([f"{own}.mine"], ["/elsewhere.py"], False, "rescore S")
    assert Path("ran").exists()


def test_a_trusted_study_s_files_are_loaded(own: str) -> None:
    admit([f"{own}.mine"], [f"{own}.py"], True, "rescore S")
    assert Path("ran").exists()


def test_a_file_that_fails_is_run_again(tmp_path: Path) -> None:
    file = tmp_path / "failing_extension.py"
    file.write_text("raise OSError('not yet')")
    with pytest.raises(UserError, match=r"OSError: not yet, failing_extension\.py, line 1"):
        load_extensions([str(file)])
    file.write_text("x = 1")
    load_extensions([str(file)])
    assert sys.modules["failing_extension"].x == 1
    assert make_task()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\n\nx / 0", r"\(ZeroDivisionError: division by zero, NAME.py, line 3\): mend it there"),
        (
            "import no_such_library",
            r"\(ModuleNotFoundError: .*, NAME.py, line 1\): install it, or put it beside",
        ),
        ("import sys\nsys.exit()", r"\(SystemExit, NAME.py, line 2\)"),
        ("import json\njson.loads('')", r"\(JSONDecodeError: .*, NAME.py, line 2\)"),
        ("x = 1\nimport NAME_beside", r"\(KeyError: 'a', NAME_beside.py, line 1\)"),
        ("x = 1\nimport NAME_unfinished", r"\(SyntaxError: .*, NAME_unfinished.py, line 2\)"),
    ],
)
def test_what_a_file_raises_is_told_in_a_line_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    """Before: a traceback, in every command."""
    name = f"raising_{abs(hash(text))}"
    file = tmp_path / f"{name}.py"
    file.write_text(text.replace("NAME", name))
    (tmp_path / f"{name}_beside.py").write_text("{}['a']")
    (tmp_path / f"{name}_unfinished.py").write_text("x = 1\ndef f(:")
    with pytest.raises(UserError, match=told.replace("NAME", name)) as raised:
        load_extensions([str(file)])
    assert len(str(raised.value).splitlines()) == 1
    assert str(raised.value).startswith(f"extensions: '{file}' cannot be run (")


def test_what_a_named_function_s_module_raises_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("raising_module.py").write_text("x = 1\n{}['a']")
    with pytest.raises(
        UserError, match=r"\(KeyError: 'a', raising_module.py, line 2\). Give module.function"
    ):
        load_function("raising_module.f", "prompt.template")


VARIANT = """
from dataclasses import replace
from instruct_ablate.instruction.variant import variant
from instruct_ablate.prompt.template import template


@variant("definition")
def {name}(task, context):
    return replace(task, definition="{text}")


@template
def {name}_template(instruction, instance, room):
    return "{text}"
"""


@pytest.fixture
def _registries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instruct_ablate.prompt.template.TEMPLATES", dict(TEMPLATES))
    for slot, known in VARIANTS.items():
        monkeypatch.setitem(VARIANTS, slot, dict(known))


@pytest.mark.usefixtures("_registries")
def test_a_file_that_was_edited_runs_again_and_what_it_had_registered_is_gone(tmp_path: Path) -> None:
    """Within the same second, and of the same size: neither Python's compiled files nor ours may stand in."""
    file = tmp_path / "edited_extension.py"

    def load(name: str, text: str) -> tuple[str, ...]:
        file.write_text(VARIANT.format(name=name, text=text))
        os.utime(file, (1_000_000_000,) * 2)
        return load_extensions([str(file)])

    def said(name: str) -> str:
        return find("definition", name).function(make_task(), Context(0)).definition

    first = load("speak", "one")
    assert said("speak") == "one"
    assert load("speak", "one") == first
    assert load("speak", "two") != first
    assert said("speak") == "two"
    load("whisp", "six")
    assert said("whisp") == find_template("whisp_template")(None, None, None) == "six"
    for looked_up in (lambda: find("definition", "speak"), lambda: find_template("speak_template")):
        with pytest.raises(UserError, match="unknown"):
            looked_up()


@pytest.mark.parametrize("text", ["def f(:", "x = '\0'"])
def test_a_file_that_is_not_python_is_told_in_a_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "odd_extension.py"
    file.write_text(text)
    with pytest.raises(UserError, match="is not valid Python"):
        load_extensions([str(file)])


def test_the_name_of_a_module_of_python_s_own_is_taken(tmp_path: Path) -> None:
    (tmp_path / "time.py").touch()
    with pytest.raises(UserError, match="a module named 'time' exists"):
        load_extensions([str(tmp_path / "time.py")])


@pytest.mark.usefixtures("_registries")
def test_code_by_dotted_path_counts_and_what_was_edited_under_a_process_is_refused(
    own: str, tmp_path: Path
) -> None:
    """Without, cells of the code as it was before would count as done under the code of now."""
    file = tmp_path / f"{own}.py"
    file.write_text(VARIANT.format(name="speak", text="one"))

    def counted(**changes: Any) -> list[str]:
        config = make_config(tmp_path, **changes)
        return code_of(functions(config, untuned=False), config.extensions)

    shown = {"instruction": InstructionConfig(f"{own}.speak")}
    template = {"prompt": PromptConfig(f"{own}.speak_template")}
    assert counted() == []
    first = counted(**shown)
    assert len(first) == 1
    assert counted(**template) == counted(**shown, **template) == first
    assert counted(**shown, extensions=[str(file)]) == []  # which counts already
    file.write_text(VARIANT.format(name="speak", text="two"))
    with pytest.raises(UserError, match="has changed since this process imported it"):
        counted(**shown)
    del sys.modules[own]
    assert counted(**shown) != first


@pytest.mark.usefixtures("_registries")
def test_an_identity_holds_the_code_that_dotted_paths_name(
    own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_inputs(monkeypatch)
    hashes, settings = set(), set()
    for text in ("one", "other"):
        (tmp_path / f"{own}.py").write_text(VARIANT.format(name="speak", text=text))
        sys.modules.pop(own, None)
        found = identify(make_config(tmp_path, instruction=InstructionConfig(f"{own}.speak")))
        hashes.add(found.hash)
        settings.add(found.setting)
    assert len(hashes) == len(settings) == 2
    assert "own_code" not in identify(make_config(tmp_path)).counted


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("evaluation.metrics", "from instruct_ablate.metrics import metric\n@metric('strange')"),
        (
            "evaluation.metrics",
            "from instruct_ablate.metrics import metric\n@metric('strange', reads='label_space')",
        ),
        ("tasks.reader", "from instruct_ablate.tasks.collection import reader\n@reader"),
        ("prompt.template", "from instruct_ablate.prompt.template import template\n@template"),
        (
            "instruction.examples",
            "from instruct_ablate.instruction.variant import variant\n@variant('examples')",
        ),
    ],
)
def test_a_function_that_cannot_be_called_as_its_key_calls_it_is_refused_at_once(
    tmp_path: Path, key: str, text: str
) -> None:
    """Before: each cell found it by a TypeError, a metric's after training; a variant's was a traceback."""
    name = f"strange_{abs(hash(text))}"
    file = tmp_path / f"{name}.py"
    file.write_text(f"{text}\ndef strange(a, b, c, d):\n    return 1.0\n")
    told = (
        rf"{key}: the function 'strange' \({name}.py, line 2\) is called with \(.*\) and takes \(a, b, c, d\)"
    )
    for _ in range(2):  # nothing of it is left in a registry
        with pytest.raises(UserError, match=told):
            load_extensions([str(file)])


@pytest.mark.parametrize("key", DECORATORS)
def test_a_function_that_ends_the_process_is_told_as_one_that_raises(own: str, key: str) -> None:
    """Before: a command ended with that word alone, and a running cell counted as interrupted."""
    Path(f"{own}.py").write_text("import argparse, sys\n\n\ndef ends(word):\n    sys.exit(word)\n")
    function = vars(importlib.import_module(own))["ends"]
    with pytest.raises(
        UserError, match=rf"{key}: the function 'ends' .*\(SystemExit: enough, {own}.py, line 5\)"
    ):
        called(key, function, "enough")


@pytest.mark.parametrize("key", DECORATORS)
def test_what_a_function_raises_is_told_with_its_place(own: str, key: str) -> None:
    """Before: a command ended in a traceback of dozens of lines."""
    Path(f"{own}.py").write_text("def fails(word):\n    return {}[word]\n")
    function = vars(importlib.import_module(own))["fails"]
    with pytest.raises(KeyError) as raised:
        called(key, function, "enough")
    assert str(raised_by_own(raised.value)) == (
        f"your own code raises KeyError: 'enough', {own}.py, line 2: mend it there, or leave out what calls it."
    )


def test_what_a_cell_raises_for_a_debugger_stays_a_traceback() -> None:
    def fails() -> None:
        raise KeyError("enough")

    runner = {"__name__": run_cell.__module__, "called": called, "fails": fails}
    with pytest.raises(KeyError) as raised:
        eval("called('tasks.reader', fails)", runner)
    assert raised_by_own(raised.value) is None


def test_what_no_function_of_the_user_s_raised_is_not_called_theirs() -> None:
    with pytest.raises(ValueError, match="invalid literal") as outside:
        int("a")  # through this file, which is no function that a key names
    with pytest.raises(ValueError, match="invalid literal") as built_in:
        called("tasks.reader", int, "a")
    assert raised_by_own(outside.value) is None
    assert raised_by_own(built_in.value) is None


def test_ctrl_c_within_a_function_stays_what_it_is() -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        called("tasks.reader", stopped)


def test_every_kind_of_function_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(*given: object) -> Any:
        raise SystemExit("enough")

    monkeypatch.setattr(own_reader, "load_function", lambda path, key: ends)
    task = make_task()
    metric = replace(built_in()[0], score=ends)
    room = Room(WordTokens(), 100)
    told = Instruction("t", "Do it.", (), ())
    calls: dict[str, Callable[[], object]] = {
        "tasks.reader": lambda: own_reader.read_own(TasksConfig("a.ends"), tmp_path, ()),
        "instruction.definition": lambda: Variant("ends", "definition", ends, ()).apply(task, Context(0)),
        "prompt.template": lambda: rendered(ends, told, task.instances[0], room),
        "evaluation.metrics": lambda: score_prediction("a", ["a"], metrics=[metric]),
    }
    for key, call in calls.items():
        with pytest.raises(
            UserError, match=rf"{key}: the function 'ends' ends the process \(SystemExit: enough"
        ):
            call()


def given_more(function: Any) -> Any:
    """A decorator of a user's own, that gives what the tool knows nothing of."""

    @functools.wraps(function)
    def wrapper(prediction: str, references: tuple[str, ...]) -> Any:
        return function(prediction, references, 1)

    return wrapper


class Callee:
    def __call__(self, prediction: str, references: tuple[str, ...]) -> float:
        return 1.0


@pytest.mark.parametrize(
    "function",
    [
        given_more(lambda prediction, references, more: 1.0),
        functools.cache(lambda prediction, references: 1.0),
        functools.partial(lambda prediction, references, *, more: 1.0, more=1),
        lambda *given, **named: 1.0,
        lambda prediction, references, more=1, *, named=2: 1.0,
        Callee(),
        Callee().__call__,
        max,
        dict,
    ],
)
def test_a_function_that_can_be_called_so_is_taken_whatever_it_is(function: Any) -> None:
    """Before: one that gives another more than it is given was held to what that other takes."""
    check_arguments("evaluation.metrics", function, ("prediction", "references"))


async def waits(prediction: str, references: tuple[str, ...]) -> float:
    return 1.0


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda prediction, references, *, more: 1.0, r"takes \(prediction, references, \*, more\)"),
        (
            functools.cache(lambda prediction: 1.0),
            r"<lambda>' \(test_extensions.py, line \d+\).*\(prediction\)",
        ),
        (waits, "'waits' is async"),
        (functools.partial(waits), r"functools\.partial.* is async"),
    ],
)
def test_what_cannot_be_called_so_is_told(function: Any, told: str) -> None:
    with pytest.raises(UserError, match=told):
        check_arguments("evaluation.metrics", function, ("prediction", "references"))


OBJECTS = """
import functools
from dataclasses import replace
from instruct_ablate.instruction.variant import variant


class Signed:
    def __call__(self, task, context):
        return replace(task, definition=task.definition + "!")


def sign(task, context, end):
    return replace(task, definition=task.definition + end)


own = variant("definition", "own")(Signed())
part = variant("definition", "part")(functools.partial(sign, end="!"))
"""


def test_what_no_edit_of_would_change_an_identity_is_named_by_no_dotted_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: of a partial the hash was of `functools`; cells were taken for done after its code was edited."""
    (tmp_path / "objects_of_mine.py").write_text(OBJECTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(VARIANTS, "definition", dict(VARIANTS["definition"]))
    own = load_function("objects_of_mine.own", "instruction.definition")
    assert type(own).__name__ == "Signed"
    with pytest.raises(UserError, match=r"of an object of type partial no code counts .*\(`def`\)"):
        load_function("objects_of_mine.part", "instruction.definition")
