"""Download of Super-NaturalInstructions: a shallow git clone of a tagged release, kept with its checksum."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from instruct_ablate.disk.whole_files import NOT_AS_WRITTEN, put_aside, read_plain, shared_lock
from instruct_ablate.errors import UserError, in_a_line
from instruct_ablate.terminal import echo

log = logging.getLogger(__name__)

URL = "https://github.com/allenai/natural-instructions.git"
TAG = "v2.8"
MANIFEST = "manifest.json"


def natural_instructions(cache: Path, url: str = URL, tag: str = TAG) -> Path:
    """Return the downloaded collection, fetching it first where the cache has none.

    What is checked: git verifies every object of the clone against the commit. The sha256 over all task and
    split files, recorded when they arrived, tells later whether the copy in the cache is still that one.
    """
    folder = cache / "downloads" / f"natural-instructions-{tag}"
    if not (folder / MANIFEST).is_file():
        with shared_lock(folder.with_name(f"{folder.name}.lock"), "cache"):
            if not (folder / MANIFEST).is_file():
                _fetch(folder, url, tag)
    return folder


def _fetch(folder: Path, url: str, tag: str) -> None:
    """Clone beside the final place, note the checksum, then rename; a killed download leaves nothing half-made."""
    for leftover in folder.parent.glob(f"{folder.name}.part*"):
        shutil.rmtree(leftover, ignore_errors=True)
    part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.part", dir=folder.parent))
    try:
        _clone(url, tag, part / "clone")
        commit = _git("-C", str(part / "clone"), "rev-parse", "HEAD")
        shutil.rmtree(part / "clone" / ".git")
        manifest = {"url": url, "tag": tag, "commit": commit, "sha256": checksum(part / "clone")}
        (part / "clone" / MANIFEST).write_text(json.dumps(manifest, indent=1))
        if os.path.lexists(folder):
            log.warning(
                "%s is no download that came to its end: it is put aside as %s",
                folder,
                put_aside(folder).name,
            )
        (part / "clone").replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _clone(url: str, tag: str, folder: Path) -> None:
    """Clone one commit; git's own progress goes to the terminal."""
    command = ["git", "clone", "--depth", "1", "--branch", tag, "--progress", url, str(folder)]
    echo(f"downloading Super-NaturalInstructions {tag} from {url}", err=True)
    try:
        ended = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, timeout=3 * 3600)
    except FileNotFoundError as error:
        raise _failed(url, tag, "git is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise _failed(url, tag, "it took more than three hours") from error
    if ended.returncode:
        raise _failed(url, tag, f"git clone ended with status {ended.returncode} (is the network there?)")
    if not (folder / "tasks").is_dir() or not (folder / "splits").is_dir():
        raise _failed(url, tag, "it holds no folders tasks/ and splits/")


def _failed(url: str, tag: str, why: str) -> UserError:
    return UserError(
        f"could not download Super-NaturalInstructions {tag} from {url}: {why}. On a machine with network run "
        f"`git clone --depth 1 --branch {tag} {url}` and give its folder as tasks.root=FOLDER, "
        "or use tasks=starter, which needs no download."
    )


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def checksum(folder: Path) -> str:
    """Return the sha256 over the relative names and contents of all task and split files."""
    total = hashlib.sha256()
    for path in sorted([*folder.glob("tasks/*.json"), *folder.glob("splits/*/*.txt")]):
        total.update(path.relative_to(folder).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(read_plain(path)).digest())
    return total.hexdigest()


def damage(folder: Path) -> str | None:
    """Say how a downloaded copy differs from what arrived; None where it does not."""
    try:
        manifest = json.loads(read_plain(folder / MANIFEST))
        commit, same = manifest["commit"], checksum(folder) == manifest["sha256"]
    except (OSError, *NOT_AS_WRITTEN) as error:
        return f"cannot be read ({in_a_line(error)})"
    return None if same else f"differs from what was downloaded (commit {commit})"


def heal(folder: Path, url: str = URL, tag: str = TAG) -> bool:
    """Put a damaged copy aside, say so, and download it again; whether there was anything to mend.

    Where what arrives is another than what was noted before, that is said. Where nothing can be downloaded the copy is
    back in its place, and refused.
    """
    why = damage(folder)
    if why is None:
        return False
    with shared_lock(folder.with_name(f"{folder.name}.lock"), "cache"):
        if damage(folder) is None:  # somebody else was quicker
            return True
        before, aside = _noted(folder), put_aside(folder)
        log.warning("%s %s: it was put aside as %s and is downloaded again", folder, why, aside.name)
        try:
            _fetch(folder, url, tag)
        except UserError as fault:
            aside.rename(folder)
            raise UserError(f"{folder} {why}, and downloading it again failed: {fault}") from fault
    now = _noted(folder)
    if before is not None and now != before:
        log.warning("%s is another than before: sha256 %s, not %s", folder, now, before)
    return True


def _noted(folder: Path) -> str | None:
    """Return the checksum that was noted when a copy arrived."""
    try:
        return str(json.loads(read_plain(folder / MANIFEST))["sha256"])
    except (OSError, *NOT_AS_WRITTEN):
        return None
