"""The code of queued jobs is the code that was submitted: a copy beside the study, which its jobs run."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from instruct_ablate.cell.state.environment import COMMIT_FILE, commit
from instruct_ablate.configuration.folders import config_directory
from instruct_ablate.configuration.own_modules import content_of, modules_of
from instruct_ablate.disk.package_content import PACKAGE
from instruct_ablate.disk.prepared import prepared

CODE = ".code"  # in the study's folder
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc")


def snapshot(study: Path) -> Path:
    """Copy the package, its plugins and its configuration below a study, once for each content; return where."""
    places = dict(_sources())
    digest = hashlib.sha256()
    for name, source in sorted(places.items()):
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            # What Python compiles beside the files comes and goes while they stay as they are.
            if "__pycache__" not in path.parts:
                # A zero byte behind the name and a hash of fixed length: no two trees run together into the same bytes.
                digest.update(f"{name}/{path.relative_to(source)}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return prepared(study / CODE / digest.hexdigest()[:16], lambda folder: _copy(places, folder))


def search_path(code: Path) -> Path:
    """Return what a job puts at the head of PYTHONPATH."""
    return code / "src"


def own_files(study: Path, extensions: Sequence[str]) -> list[str]:
    """Copy the user's own files below a study, with the modules of theirs that these import; return the copies."""
    return [str(_own_file(study, Path(file))) for file in extensions]


def _own_file(study: Path, file: Path) -> Path:
    content = file.read_bytes()
    modules = modules_of(file, content)
    key = content_of(content, modules)[:16]

    def write(folder: Path) -> None:
        (folder / file.name).write_bytes(content)
        for module in modules:
            module.write(folder)

    return (prepared(study / CODE / f"own-{key}", write) / file.name).absolute()


def _sources() -> Iterator[tuple[str, Path]]:
    yield "src/instruct_ablate", PACKAGE
    plugins = PACKAGE.parent / "hydra_plugins"
    if plugins.is_dir():
        yield "src/hydra_plugins", plugins
    if not config_directory().is_relative_to(PACKAGE):
        yield "conf", config_directory()


def _copy(places: dict[str, Path], folder: Path) -> None:
    for name, source in places.items():
        shutil.copytree(source, folder / name, ignore=_LEFT_OUT)
    (folder / COMMIT_FILE).write_text(commit() or "")
