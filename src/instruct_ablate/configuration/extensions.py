"""The user's own code: functions by dotted path, and files that register what they hold.

Only what the user's own command names is ever imported, and of it only functions that a decorator has marked are used:
importing runs a module's code, and any other function of it would do whatever it does.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, TypeVar

from instruct_ablate.configuration.own_modules import PACKAGE, content_with_modules, import_as_hashed, is_own
from instruct_ablate.errors import UserError, in_a_line, with_kind

F = TypeVar("F", bound=Callable[..., Any])
Made = TypeVar("Made")
# The key that names a function, and the decorator that such a function carries.
DECORATORS = {
    "evaluation.metrics": "@metric(NAME) (from instruct_ablate.metrics)",
    "tasks.reader": "@reader (from instruct_ablate.tasks.collection)",
    "prompt.template": "@template (from instruct_ablate.prompt.template)",
    "instruction.definition": '@variant("definition") (from instruct_ablate.instruction.variant)',
    "instruction.examples": '@variant("examples") (from instruct_ablate.instruction.variant)',
}
_DECORATED: dict[str, list[Callable[..., Any]]] = {}
_FORGET: list[Callable[[str], None]] = []
_CONTENT = "__content__"  # the hash of what was run, in the module itself
_RUNNER = "instruct_ablate.cell.run.runner"
_LOADED: set[str] = set()  # modules of the files that this command named


def decorated(key: str, function: F) -> F:
    """Note that a function is meant to be named by a key of the configuration: what the decorators do."""
    _DECORATED.setdefault(key, []).append(function)
    return function


def check_arguments(key: str, function: Callable[..., Any], given: Sequence[str]) -> None:
    """Refuse a function that cannot be called with the arguments that `given` names, by their places.

    The decorators ask: else each cell would find it, a metric's after all of its training.
    """
    takes = _signature(function)
    if takes is None:
        return
    try:
        takes.bind(*given)
    except TypeError as error:
        code = getattr(function, "__code__", None) or getattr(inspect.unwrap(function), "__code__", None)
        place = f" ({Path(code.co_filename).name}, line {code.co_firstlineno})" if code else ""
        plain = [one.replace(annotation=inspect.Parameter.empty) for one in takes.parameters.values()]
        takes = takes.replace(parameters=plain, return_annotation=inspect.Signature.empty)
        raise UserError(
            f"{key}: the function {getattr(function, '__name__', function)!r}{place} is called with "
            f"({', '.join(given)}) and takes {takes}: mend its first line."
        ) from error
    if inspect.iscoroutinefunction(function):
        raise UserError(
            f"{key}: the function {getattr(function, '__name__', function)!r} is async, and nobody would wait for it: "
            "write it as `def`."
        )


def own_name(key: str, function: Callable[..., Any], advice: str) -> str:
    """Return the name that a function is registered by; `functools.partial` and other objects have none."""
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        raise UserError(
            f"{key}: an object of type {type(function).__name__} has no name of its own to be registered by: {advice}."
        )
    return name


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    """Return what a function takes; None where it does not say.

    A function that stands around another is what is called: it may give that one more than it is given.
    """
    # What stands around another and is in C, as `lru_cache`, says nothing of itself.
    for follow in (False, True):
        with suppress(ValueError):
            return inspect.signature(function, follow_wrapped=follow)
    return None


def called(key: str, function: Callable[..., Made], *given: Any) -> Made:
    """Call a function that a key names; where it ends the process (`sys.exit`) that is an error of its own.

    As it stood a command ended with that word alone, and a running cell passed for one that was told to stop.
    """
    try:
        return function(*given)
    except SystemExit as error:
        name = getattr(function, "__name__", function)
        raise UserError(
            f"{key}: the function {name!r} ends the process ({_fault(error)}): let it raise an error that says why."
        ) from error


def load_function(path: str, key: str) -> Callable[..., Any]:
    """Import `module.function`, as `key` of the user's command names it; the working directory is searched too."""
    module_name, _, name = path.rpartition(".")
    if not module_name or not all(part.isidentifier() for part in path.split(".")):
        raise UserError(f"{key} {path!r}: write module.function, as in my_code.shout.")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = import_as_hashed(module_name)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        # whatever a module of the user's raises while it runs, and where it ends the process
        raise UserError(
            f"{key} {path!r}: cannot import module {module_name!r} ({_fault(error)}). "
            "Give module.function with the module in the working directory, or list its file in `extensions`."
        ) from error
    function = vars(module).get(name)
    if not callable(function):
        raise UserError(f"{key} {path!r}: module {module_name!r} has no function {name!r}.")
    if key in DECORATORS and not any(function is one for one in _DECORATED.get(key, ())):
        raise UserError(
            f"{key} {path!r} is not meant for this: decorate the function with {DECORATORS[key]}."
        )
    if not hasattr(function, "__name__") and getattr(function, "__module__", None) != module_name:
        # `functools.partial` and its like: the hash would be of the module of their class, whatever is edited here.
        raise UserError(
            f"{key} {path!r}: of an object of type {type(function).__name__} no code counts in a cell's identity: "
            "write a function (`def`) that calls it."
        )
    return function  # type: ignore[no-any-return]


def load_extensions(files: Sequence[str]) -> tuple[str, ...]:
    """Run the user's Python files, so that what they register can be named; return the hash of what was run of each,
    the user's own modules that it imports among it.

    A file runs once, and again when its content has changed: what it registered before is forgotten first.
    """
    return tuple(_load(file, Path(file)) for file in files)


def _load(file: str, path: Path) -> str:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None:
        raise UserError(f"extensions: {file!r} is not a Python file here ({Path.cwd()}).")
    try:
        code = path.read_bytes()
    except OSError as error:
        raise UserError(f"extensions: cannot read {file!r} ({error.strerror}).") from error
    known = sys.modules.get(path.stem)
    if known is not None and Path(str(vars(known).get("__file__"))).resolve() != path.resolve():
        raise UserError(f"extensions: {file!r}: a module named {path.stem!r} exists; rename the file.")
    content = content_with_modules(path, code)
    if known is None or vars(known).get(_CONTENT) != content:
        _forget(path.stem)
        module = importlib.util.module_from_spec(spec)
        vars(module)[_CONTENT] = content
        _run(module, _compiled(code, file), file)
    _LOADED.add(path.stem)
    return content


def _compiled(code: bytes, file: str) -> CodeType:
    try:
        return compile(code, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise UserError(f"extensions: {file!r} is not valid Python: {in_a_line(error)}.") from error


def _run(module: ModuleType, code: CodeType, file: str) -> None:
    """Run a file's code as it was read: Python's own cache of compiled files goes by their time of change.

    `UserError` says what it raises, and where.
    """
    sys.modules[module.__name__] = module
    whole = False
    try:
        exec(code, vars(module))
        whole = True
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        missing = isinstance(error, ModuleNotFoundError)
        advice = (
            "install it, or put it beside the file" if missing else "mend it there, and run the command again"
        )
        raise UserError(f"extensions: {file!r} cannot be run ({_fault(error)}): {advice}.") from error
    finally:
        if not whole:
            del sys.modules[module.__name__]  # another try runs it again, instead of finding half of it


def raised_by_own(error: Exception) -> UserError | None:
    """Return the error for what a function of the user's own raised, with its place; None where it was none's.

    As it stood a command ended in a traceback of dozens of lines through this package, which is not at fault.
    """
    inner, found = None, error.__traceback__
    while found is not None:
        if found.tb_frame.f_globals.get("__name__") == _RUNNER:
            return None  # a cell raises for a debugger alone (`raise_faults`)
        inner = found if found.tb_frame.f_code is called.__code__ else inner
        found = found.tb_next
    if not any(is_own(Path(one.filename)) for one in traceback.extract_tb(inner)):
        return None
    return UserError(f"your own code raises {_fault(error)}: mend it there, or leave out what calls it.")


def _fault(error: BaseException) -> str:
    """Return an error's kind, what it says, and the last place of the user's own code that it came through."""
    frames = [(Path(one.filename), one.lineno) for one in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((Path(error.filename), error.lineno))
    own = [(path, line) for path, line in frames if is_own(path)]
    return with_kind(error, longest=300) + (f", {own[-1][0].name}, line {own[-1][1]}" if own else "")


def code_of(functions: Iterable[Callable[..., Any]], files: Sequence[str]) -> list[str]:
    """Return the hashes of the modules that functions stand in, of those that are neither ours nor in `files`."""
    known = {Path(file).stem for file in files}
    names = {str(getattr(function, "__module__", "")) for function in functions} - known
    found = (_content_of(name) for name in sorted(names) if name.partition(".")[0] != PACKAGE)
    return [content for content in found if content]


def _content_of(name: str) -> str:
    """Return the hash of a module, with what it imports, as it was when it was first used; empty where it has no file.

    What was imported stays as it is for as long as the process lives: under the hash of an edited file, cells would
    count as made by it.
    """
    module = sys.modules.get(name)
    path = Path(str(getattr(module, "__file__", None) or ""))
    if module is None or not path.is_file():
        return ""
    content = content_with_modules(path, path.read_bytes(), name)
    if vars(module).setdefault(_CONTENT, content) != content:
        raise UserError(f"{path} has changed since this process imported it: run the command again.")
    return content


def content_of(function: Callable[..., Any]) -> str:
    """Return the hash of the user's file that a function stands in, with what it imports; empty where there is none."""
    name = str(getattr(function, "__module__", ""))
    module = sys.modules.get(name)
    path = Path(str(getattr(module, "__file__", None) or ""))
    if module is None or name.partition(".")[0] == PACKAGE or not path.is_file():
        return ""
    return str(vars(module).setdefault(_CONTENT, content_with_modules(path, path.read_bytes(), name)))


def registers_only(file: str, key: str) -> bool:
    """Whether all that a loaded file registers is meant for one key: for nothing else can it make a difference."""
    module = Path(file).stem
    keys = {named for named, functions in _DECORATED.items() for one in functions if one.__module__ == module}
    return keys == {key}


def forgets(function: Callable[[str], None]) -> Callable[[str], None]:
    """Name what a registry does to forget all that a module registered."""
    _FORGET.append(function)
    return function


def _forget(module: str) -> None:
    for functions in _DECORATED.values():
        functions[:] = [function for function in functions if function.__module__ != module]
    for forget in _FORGET:
        forget(module)


def admit(names: Sequence[str], files: Sequence[str], trust: bool, command: str) -> None:
    """Refuse code that a study names, unless this command has loaded it from a file of the user's, or trusts the study.

    `names` are the study's functions by dotted path, `files` the extensions that it was run with.
    """
    if trust:
        load_extensions(files)
        return
    strange = [name for name in names if "." in name and name.rpartition(".")[0] not in _LOADED]
    if strange:
        module = strange[0].partition(".")[0]
        # The study's other files have its variants: given in this one's place they change nothing.
        file = next((file for file in files if Path(file).stem == module), f"{module}.py")
        raise UserError(
            f"{strange[0]} is code that the study names, and reading a study runs none: "
            f"`{command} --extensions {file}` takes it from your own file, "
            f"`{command} --trust` from where the study says"
        )
