"""What studies hold is shown on the terminal, never obeyed; and nothing is said past the one place that sees to it."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from rich.control import Control
from rich.table import Table
from rich.text import Text

from instruct_ablate import command_line, entry, terminal
from instruct_ablate.grid.checking import effects
from instruct_ablate.terminal import (
    Formatter,
    complain,
    each_line_once,
    echo,
    make_console,
    print_json,
    shown,
)

SOURCE = Path(terminal.__file__).parent
HOSTILE = "a\x1b[2J\x1b]0;title\x07b\rc\x9b31m\u202egnp\u2066\x00\x7f\ud800"
STEERING = set("\x1b\x07\r\x9b\u202e\u2066\x00\x7f\ud800")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b", "\\x9b"),
        ("a\u202eb", "a\\u202eb"),
        ("\ud800", "\\ud800"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("naïve 任务 שלום 👩\u200d🔬 \\x1b", "naïve 任务 שלום 👩\u200d🔬 \\x1b"),
    ],
)
def test_what_steers_a_terminal_is_written_as_its_escape(text: str, expected: str) -> None:
    assert shown(text) == expected
    assert shown(expected) == expected


def test_log_lines_that_no_handler_takes_are_shown_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: warnings of a command without -v reached the terminal as they were."""
    last = logging._StderrHandler(logging.WARNING)  # type: ignore[attr-defined]
    monkeypatch.setattr(logging, "lastResort", last)
    terminal.write_all_characters()
    last.handle(logging.makeLogRecord({"msg": HOSTILE, "levelno": logging.WARNING}))
    err = capsys.readouterr().err
    assert err.startswith("a\\x1b[2J")
    assert not STEERING & set(err)


def test_lines_and_complaints(capsys: pytest.CaptureFixture[str]) -> None:
    echo(HOSTILE)
    complain(HOSTILE)
    complain(f"{HOSTILE}\nsecond")
    out, err = capsys.readouterr()
    assert not STEERING & set(out + err)
    assert err.startswith("error: a\\x1b[2J")
    assert "errors:\na\\x1b[2J" in err


@pytest.mark.parametrize("colour", [True, False])
def test_tables_and_texts(monkeypatch: pytest.MonkeyPatch, colour: bool) -> None:
    console = make_console()
    console.file = io.StringIO()
    console.width = 300
    monkeypatch.setattr(type(console), "is_terminal", property(lambda self: colour))
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(Text(HOSTILE))
    table.add_row(HOSTILE)
    console.print(table)
    console.print(HOSTILE, markup=False)
    written = console.file.getvalue()
    assert not STEERING - {"\x1b"} & set(written)
    assert "\x1b[2J" not in written
    assert "\x1b]" not in written
    assert written.count("\\x1b[2J") == 5


def test_the_codes_of_a_table_that_is_drawn_again_are_kept() -> None:
    console = make_console()
    console.file = io.StringIO()
    console._force_terminal = True
    console.control(Control.home())
    assert "\x1b[H" in console.file.getvalue()


def test_log_lines() -> None:
    record = logging.LogRecord("n", logging.INFO, "f", 1, "%s", (HOSTILE,), None)
    assert not STEERING & set(Formatter("%(message)s").format(record))


def _speaks(node: ast.AST) -> bool:
    """Whether a call writes to the terminal by itself."""
    if not isinstance(node, ast.Call):
        return False
    name = ast.unparse(node.func)
    return name in ("print", "click.echo", "click.secho", "Console", "sys.stdout.write", "sys.stderr.write")


def test_nobody_speaks_past_it() -> None:
    # The latter two make the package's own files.
    outside = {"terminal.py", "tasks/starter/make/__main__.py", "tasks/verifiable/make.py"}
    found = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in SOURCE.rglob("*.py")
        if str(path.relative_to(SOURCE)) not in outside
        for node in ast.walk(ast.parse(path.read_text()))
        if _speaks(node)
    ]
    assert found == []


def test_json_is_one_document_in_which_no_number_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    inf, nan = float("inf"), float("nan")
    print_json({"a": [1.5, inf, (nan, "é")], "b": {"c": -inf, "d": None, "e": True}, "f": "text"})
    out = capsys.readouterr().out
    assert json.loads(out) == {
        "a": [1.5, None, [None, "é"]],
        "b": {"c": None, "d": None, "e": True},
        "f": "text",
    }
    assert out.isascii()


def test_louder_says_our_own_lines_and_quieter_leaves_warnings_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own, level = logging.getLogger("instruct_ablate"), logging.getLogger("instruct_ablate").level
    monkeypatch.setattr(own, "handlers", [])
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    try:
        for chosen in (logging.INFO, logging.ERROR):
            terminal.set_verbosity(chosen)
            for line in (own.info, own.warning, own.error):
                line("a %s line", line.__name__)
    finally:
        own.setLevel(level)
    said = capsys.readouterr().err.split("\n")
    assert said == ["a info line", "a warning line", "a error line", "a error line", ""]


def test_a_file_or_a_pipe_keeps_long_names_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "a-cell-of-many-keys-" * 12

    def told() -> str:
        console = make_console()
        console.file = io.StringIO()
        table = Table()
        table.add_column("cell", overflow="fold")
        table.add_row(name)
        console.print(table)
        return console.file.getvalue()

    monkeypatch.delenv("COLUMNS", raising=False)
    assert name in told()
    monkeypatch.setenv("COLUMNS", "60")
    assert name not in told()
    assert max(map(len, told().splitlines())) <= 60


@pytest.mark.parametrize(
    ("environment", "written"),
    [
        ({"LC_ALL": "C", "PYTHONUTF8": "0"}, "± – 任 ± – 任".encode()),
        ({"PYTHONIOENCODING": "latin-1"}, b"\xb1 \\u2013 \\u4efb \xb1 \\u2013 \\u4efb"),
        ({"PYTHONIOENCODING": "utf-8"}, "± – 任 ± – 任".encode()),
    ],
)
def test_a_locale_without_these_characters_ends_nothing(environment: dict[str, str], written: bytes) -> None:
    lines = (
        "from instruct_ablate.terminal import echo, make_console, write_all_characters",
        "write_all_characters()",
        r"make_console().print('\u00b1 \u2013 \u4efb')",
        r"echo('\u00b1 \u2013 \u4efb')",
    )
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHONIO"))
    }
    run = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], env=clean | environment, capture_output=True, check=True
    )
    assert b" ".join(run.stdout.split()) == written


@pytest.mark.parametrize("entry", [command_line, entry])
def test_both_entries_begin_with_it(entry: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    class BegunError(Exception):
        pass

    def begin() -> None:
        raise BegunError

    monkeypatch.setattr(entry, "write_all_characters", begin)
    with pytest.raises(BegunError):
        entry.main()


def test_what_checks_of_many_cells_say_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger(effects.__name__)
    caplog.set_level(logging.INFO, logger=log.name)  # whatever an earlier test's command has set
    with each_line_once():
        for _ in range(3):
            log.warning("%s is not there", "a")
            log.info("%s is not there", "a")
            log.warning("%s is not there", "b")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "a is not there"),
        ("INFO", "a is not there"),
        ("WARNING", "b is not there"),
    ]
    log.warning("a is not there")
    log.warning("a is not there")
    assert caplog.messages[3:] == ["a is not there"] * 2


def test_lines_of_a_command_that_has_set_up_no_logging_are_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    said = io.StringIO()
    monkeypatch.setattr(logging, "lastResort", logging.StreamHandler(said))
    log = logging.getLogger(effects.__name__)
    with each_line_once():
        log.warning("a is not there")
        log.warning("a is not there")
    assert said.getvalue() == "a is not there\n"
