"""The hash of the package's own files."""

from __future__ import annotations

import os
import time
from pathlib import Path

import instruct_ablate
from instruct_ablate.disk.package_content import PACKAGE, content_of


def make(folder: Path) -> Path:
    (folder / "inner" / "__pycache__").mkdir(parents=True)
    (folder / "one.py").write_text("a = 1\n")
    (folder / "inner" / "words.txt").write_text("words\n")
    (folder / "inner" / "__pycache__" / "one.pyc").write_bytes(b"compiled")
    return folder


LATER = 1000.0


def now(folder: Path) -> str | None:
    return content_of(folder, time.time() + LATER)


def test_every_file_counts_by_name_and_content_but_compiled_ones(tmp_path: Path) -> None:
    folder = make(tmp_path / "package")
    seen = [now(folder)]
    assert seen[0] == now(make(tmp_path / "copy"))
    (folder / "inner" / "__pycache__" / "one.pyc").write_bytes(b"compiled again")
    assert now(folder) == seen[0]
    state = (folder / "one.py").stat()
    (folder / "one.py").write_text("a = 2\n")
    os.utime(folder / "one.py", ns=(state.st_atime_ns, state.st_mtime_ns))
    seen.append(now(folder))
    (folder / "inner" / "words.txt").rename(folder / "words.txt")
    seen.append(now(folder))
    (folder / "words.txt").write_text("other\n")
    seen.append(now(folder))
    (folder / "new.yaml").write_text("")
    seen.append(now(folder))
    assert None not in seen
    assert len(set(seen)) == len(seen)


def test_a_file_that_changed_after_the_start_makes_it_uncertain(tmp_path: Path) -> None:
    folder = make(tmp_path / "package")
    assert content_of(folder, time.time() + LATER) is not None
    assert content_of(folder, time.time() - LATER) is None
    os.utime(
        folder / "one.py", (1, 1)
    )  # a copying tool sets times back, but not that of the change of the file
    os.utime(folder / "inner" / "words.txt", (1, 1))
    assert content_of(folder, time.time() - LATER) is None


def test_the_start_is_before_any_module_of_the_package() -> None:
    assert Path(instruct_ablate.__file__).parent == PACKAGE
    assert time.time() - 86400 * 30 < instruct_ablate.STARTED < time.time()
