"""One published file, downloaded once into the cache and known by its hash; nothing else is read under its name."""

from __future__ import annotations

import http.client
import logging
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from instruct_ablate.disk.file_hash import Mark, mark, sha256_of
from instruct_ablate.disk.whole_files import put_aside, shared_lock, whole_file
from instruct_ablate.errors import UserError
from instruct_ablate.terminal import echo

log = logging.getLogger(__name__)
SECONDS = 60  # without a byte
LARGEST = 1 << 28  # bytes


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file as it is published: its name in the cache, what it is, its address, the hash of its content.

    `key` is the setting that takes a local copy in its place.
    """

    name: str
    what: str
    url: str
    sha256: str
    key: str


def pinned_file(file: PinnedFile, cache: Path) -> Path:
    """Return the downloaded file, fetching it first where the cache has none; a damaged one is put aside."""
    path = cache / "downloads" / file.name
    if not _is_whole(path, mark(path), file.sha256):
        with shared_lock(path.with_name(f"{path.name}.lock"), "cache"):
            if not _is_whole(path, mark(path), file.sha256):
                _clear(path, file)
                _fetch(file, path)
    return path


@lru_cache(maxsize=32)
def _is_whole(path: Path, seen: Mark | None, sha256: str) -> bool:
    """Whether it has the published content; one that has not changed is read once."""
    return seen is not None and path.is_file() and not path.is_symlink() and sha256_of(path) == sha256


def _clear(path: Path, file: PinnedFile) -> None:
    if os.path.lexists(path):
        aside = put_aside(path)
        log.warning(
            "%s is not %s as it is published: it was put aside as %s and is downloaded again",
            *(path, file.what, aside.name),
        )


def _fetch(file: PinnedFile, path: Path) -> None:
    """Download beside the final place; what arrives takes the name only with the right hash."""
    echo(f"downloading {file.what} from {file.url}", err=True)
    with whole_file(path, key="cache") as temporary:
        try:
            with urllib.request.urlopen(file.url, timeout=SECONDS) as answer:
                # However much a server sends: what is cut off here has another hash, and is refused for it.
                temporary.write_bytes(answer.read(LARGEST))
        except urllib.error.HTTPError as error:
            raise _failed(file, f"the server answers {error.code} {error.reason}") from error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            raise _failed(
                file, f"{getattr(error, 'reason', None) or error or type(error).__name__}"
            ) from error
        arrived = sha256_of(temporary)
        if arrived != file.sha256:
            raise _failed(file, f"what arrived has the sha256 {arrived}, not {file.sha256}")


def _failed(file: PinnedFile, why: str) -> UserError:
    return UserError(
        f"could not download {file.what} from {file.url}: {why}. Download it on a machine with network and give its "
        f"path as {file.key}=FILE."
    )
