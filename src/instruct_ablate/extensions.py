"""The user's own code: functions by dotted path, and files that register what they hold."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from instruct_ablate.errors import UserError


def load_function(path: str, what: str) -> Callable[..., Any]:
    """Import `module.function`; the working directory is searched too. `what` names it in errors."""
    module_name, _, name = path.rpartition(".")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UserError(
            f"{what} {path!r}: cannot import module {module_name!r} ({error}). "
            "Give module.function with the module in the working directory, or list its file in `extensions`."
        ) from error
    function = vars(module).get(name)
    if not callable(function):
        raise UserError(f"{what} {path!r}: module {module_name!r} has no function {name!r}.")
    return function  # type: ignore[no-any-return]


def load_extensions(files: list[str]) -> None:
    """Run the user's Python files once each, so that what they register can be named in the configuration."""
    for file in files:
        path = Path(file)
        known = sys.modules.get(path.stem)
        if known is not None and Path(str(known.__file__)).resolve() == path.resolve():
            continue
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if not path.is_file() or spec is None or spec.loader is None:
            raise UserError(f"extensions: {file!r} is not a Python file here ({Path.cwd()}).")
        if path.stem in sys.modules:
            raise UserError(f"extensions: {file!r}: a module named {path.stem!r} exists; rename the file.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
