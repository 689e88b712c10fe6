"""The modules of the user's own that a file of theirs imports: named without running any, run as they were hashed.

What a metric or variant does is in the modules beside its file as well. Python's own import would look for them where
the command was typed, and go by the time of change of what it has compiled: here each is run from the very text that
was hashed, from the file's own folder first.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import resolve_name, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from instruct_ablate.errors import UserError

PACKAGE = __name__.partition(".")[0]
_INSTALLED = ("site-packages", "dist-packages")
_STANDARD = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))
# Not looked into wherever they lie: a checkout of transformers is thousands of files, and none of the user's own.
_LIBRARIES = (PACKAGE, "hydra_plugins", "accelerate", "datasets", "hydra", "numpy", "omegaconf", "pandas",
              "peft", "pytorch_lightning", "scipy", "tokenizers", "torch", "transformers", "vllm", "wandb")  # fmt: skip


@dataclass(frozen=True, slots=True)
class OwnModule:
    """A module's file as it was hashed; `folders` where it is a package, which has no file without `__init__.py`."""

    name: str
    path: Path | None
    code: bytes = b""
    folders: tuple[str, ...] | None = None

    @property
    def content(self) -> str:
        """The hash of its file."""
        return hashlib.sha256(self.code).hexdigest()

    def write(self, folder: Path) -> None:
        """Write it where a file in `folder` that imports it finds it."""
        if self.path is not None:
            parts = self.name.split(".")
            place = folder.joinpath(*(parts[:-1] if self.folders is None else parts), self.path.name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(self.code)


_HASHED: dict[str, OwnModule] = {}  # by name: as this process hashed it last, which is how it is imported


def content_with_modules(path: Path, code: bytes, name: str = "") -> str:
    """Hash a file of the user's with all modules of the user's own that it imports, directly or through others.

    `name` is that of the module by which it is imported, if it is: what its packages run before it counts too. Without
    such modules it is the hash of the file alone. Those of libraries and of Python are not the user's own. Data files,
    and modules whose names the code makes up while it runs, are not found.
    """
    return content_of(code, modules_of(path, code, name))


def content_of(code: bytes, modules: Sequence[OwnModule]) -> str:
    """Hash a file of the user's with modules that it imports, as `modules_of` finds them."""
    own = hashlib.sha256(code).hexdigest()
    found = [[one.name, one.content] for one in modules if one.code.strip()]
    return hashlib.sha256(json.dumps([own, *found]).encode()).hexdigest() if found else own


def modules_of(path: Path, code: bytes, name: str = "") -> tuple[OwnModule, ...]:
    """Return the user's own modules that a file imports, by their names in order; none of them is run.

    From now on this process imports them as they were read here. `UserError` where one has another name's place, or was
    imported before it was changed.
    """
    package = path.stem == "__init__"
    search = _Search(path.resolve().parents[name.count(".") + package], path.resolve())
    parents = [name.rpartition(".")[0]] if "." in name else []
    search.add([*parents, *_imports(code, name, package)])
    return _to_be_imported(search)


def import_as_hashed(name: str) -> ModuleType:
    """Import a module by name, from the working directory first; one of the user's own as `modules_of` reads it."""
    if name not in sys.modules:
        search = _Search(Path.cwd(), Path())
        search.add([name])
        _to_be_imported(search)
    return importlib.import_module(name)


def _to_be_imported(search: _Search) -> tuple[OwnModule, ...]:
    found = tuple(one for _, one in sorted(search.found.items()) if one is not None)
    for one in found:
        _check_as_imported(one)
    if found and not any(isinstance(one, _AsHashed) for one in sys.meta_path):
        # Before Python's own finders, which would read the file again, or find another one of that name.
        sys.meta_path.insert(0, _AsHashed())
    _HASHED.update({one.name: one for one in found})
    return found


@dataclass
class _Search:
    """Modules by name, None where a name is none of the user's own; the file `but` itself is not looked for."""

    folder: Path
    but: Path

    def __post_init__(self) -> None:
        self.found: dict[str, OwnModule | None] = {}

    def add(self, names: Sequence[str]) -> None:
        """Find modules, and all that they import."""
        for name in names:
            if name not in self.found:
                one = self._find(name)
                self.found[name] = one
                if one is not None and one.code:
                    self.add(tuple(_imports(one.code, name, one.folders is not None)))

    def _find(self, name: str) -> OwnModule | None:
        parent, _, _ = name.rpartition(".")
        if not parent:
            return None if name in _LIBRARIES else self._read(name, [str(self.folder), *sys.path])
        self.add([parent])
        known = self.found[parent]
        return None if known is None or known.folders is None else self._read(name, list(known.folders))

    def _read(self, name: str, folders: list[str]) -> OwnModule | None:
        spec = PathFinder.find_spec(name, folders)
        if spec is None:
            return None
        inside = spec.submodule_search_locations
        packaged = None if inside is None else tuple(map(str, inside))
        if spec.origin is None or not spec.has_location:
            own = packaged and not all(_is_installed(Path(one)) for one in packaged)
            return OwnModule(name, None, folders=packaged) if own else None
        path = Path(spec.origin).resolve()
        if path == self.but or _is_installed(path):
            return None
        try:
            return OwnModule(name, path, path.read_bytes(), packaged)
        except OSError as error:
            raise UserError(
                f"cannot read {path}, which a file of yours imports ({error.strerror})."
            ) from error


def is_own(path: Path) -> bool:
    """Whether a file that code was run from is the user's: neither Python's, nor a library's, nor this package's."""
    ours = path.resolve().is_relative_to(Path(__file__).resolve().parents[1])
    return not ours and path.suffix == ".py" and not _is_installed(path.resolve())


def _is_installed(path: Path) -> bool:
    """Whether a file is Python's or a library's."""
    return any(part in _INSTALLED for part in path.parts) or any(map(path.is_relative_to, _STANDARD))


@lru_cache(maxsize=256)
def _imports(code: bytes, name: str, package: bool) -> tuple[str, ...]:
    """Name what a module's code imports anywhere in it; `from a import b` may mean a module b of a."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return ()  # told when it is run
    return tuple(dict.fromkeys(_named(tree, name if package else name.rpartition(".")[0])))


def _named(tree: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            given = "." * node.level + (node.module or "")
            try:
                module = resolve_name(given, package) if node.level else given
            except ImportError:
                continue  # beyond the uppermost package: told when it is run
            yield module
            yield from (f"{module}.{one.name}" for one in node.names if one.name != "*")


def _check_as_imported(found: OwnModule) -> None:
    """Refuse a module that this process has imported from elsewhere, or as it was before a change."""
    module, before = sys.modules.get(found.name), _HASHED.get(found.name)
    standard = found.name in sys.stdlib_module_names
    if found.path is not None and (standard or (module is not None and _file_of(module) != found.path)):
        other = "Python has" if standard else f"{_file_of(module)} is"
        raise UserError(f"{found.path}: {other} a module of that name, too: rename the file.")
    if module is not None and before is not None and before.code != found.code:
        raise UserError(f"{found.path} has changed since this process imported it: run the command again.")


def _file_of(module: ModuleType | None) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file else None


class _AsHashed(MetaPathFinder):
    """Python's import finds the user's own modules here, as they were hashed."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return how a module is imported; None for all others."""
        known = _HASHED.get(fullname)
        if known is None:
            return None
        if known.path is None:
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = list(known.folders or ())
            return spec
        loader = _Loader(fullname, str(known.path)) if known.path.suffix == ".py" else None
        folders = None if known.folders is None else list(known.folders)
        return spec_from_file_location(
            fullname, known.path, loader=loader, submodule_search_locations=folders
        )


class _Loader(SourceFileLoader):
    """Runs what was hashed."""

    def get_code(self, fullname: str) -> CodeType | None:
        """Compile a module as it was read."""
        return compile(_HASHED[fullname].code, self.path, "exec", dont_inherit=True)
