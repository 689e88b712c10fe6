"""The splits of a data set: data files of a folder, a folder that `datasets` saved, or a data set of the hub.

`datasets` tells which file is which split. Files in formats that are read here are read here: text stays text
("null", 007), and no copy of them stays in a cache that goes by names and times.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from instruct_ablate.errors import Interrupted, UserError, UserErrors, in_a_line, with_kind
from instruct_ablate.hub import WAIT
from instruct_ablate.tasks.intake.data_file import BROKEN, kind
from instruct_ablate.tasks.intake.rows import SUFFIXES, data_files, label_names, read_rows

log = logging.getLogger(__name__)
SAID = 500  # characters at most of what a library says of a data set
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_SHARD = re.compile(r"(.*)-(\d+)-of-(\d+)\b")
T = TypeVar("T")
Rows = Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Split:
    """One split: its rows, and the names of a column's numbered labels where the data set has them."""

    rows: Callable[[], Rows]
    label_names: Callable[[str], tuple[str, ...]]


@contextmanager
def find_splits(root: str, cache: Path) -> Iterator[dict[str, Split]]:
    """Give the splits of a data set; what `datasets` must write of local files meanwhile is gone afterwards."""
    folder = Path(root).expanduser()
    if folder.exists() and not folder.is_dir():
        yield {"train": _of_files([str(folder)], {})}
        return
    with tempfile.TemporaryDirectory(prefix="instruct-ablate-") as work:
        if folder.is_dir():
            splits = loading(root, lambda: _saved(folder) or _plain(folder, work) or _loaded(root, work))
        else:
            kept = cache / "datasets"
            ask_hub(root, kept)
            splits = loading(root, lambda: _loaded(root, str(kept)))
        yield splits


def loading(root: str, load: Callable[[], T]) -> T:
    """Call `datasets`; that nothing could be loaded is one line, anything else it raises is its own fault."""
    from datasets.exceptions import DatasetsError

    try:
        return load()
    except (*BROKEN, DatasetsError) as error:
        where = "" if Path(root).expanduser().exists() else f"{_nowhere()}, and "
        raise UserError(
            f"tasks.root={root}: {where}`datasets` cannot load it: {in_a_line(error, SAID)}"
        ) from error


def ask_hub(root: str, kept: Path) -> None:
    """Ask the hub once, and not for long, whether it has a data set: `datasets` asks again and again, for a minute.

    `kept`: the folder of its copies. One that is there is read though the hub be away. `UserError` where the hub has no
    such data set, or gives no answer and there is no copy.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if not _HUB_ID.fullmatch(root):  # a path: `datasets` asks nobody of it
        return
    log.info("tasks.root=%s: %s; asking the Hugging Face hub (for %.0f s)", root, _nowhere(), WAIT)
    where = f"tasks.root={root}: {_nowhere()}, and "
    try:
        HfApi().dataset_info(root, timeout=WAIT)
    except GatedRepoError:  # it is there: `datasets` says what it takes to read it
        return
    except RepositoryNotFoundError as error:
        if not _has_copy(root, kept):
            raise UserError(
                f"{where}no data set of this name on the hub for you to read (`hf auth login` for private ones): "
                f"{in_a_line(error, SAID)}"
            ) from error
    except Interrupted:
        raise
    # What its transport raises differs among versions: requests', httpx's or its own errors.
    except Exception as error:
        if not _has_copy(root, kept):
            raise UserError(
                f"{where}the hub gave no answer ({with_kind(error, SAID)}). "
                "Give a folder that is here, or try again where the hub can be reached."
            ) from error


def _has_copy(root: str, kept: Path) -> bool:
    """Whether `datasets`, or the hub's own client, keeps a copy of a data set."""
    from datasets.naming import camelcase_to_snakecase
    from huggingface_hub.constants import HF_HUB_CACHE

    *owner, name = root.split("/")
    # As `datasets` itself names the folders of its copies, so that one is found without loading it.
    called = "___".join((*owner, camelcase_to_snakecase(name)))  # WildChat: wild_chat
    return (kept / called).is_dir() or (Path(HF_HUB_CACHE) / f"datasets--{root.replace('/', '--')}").is_dir()


def _nowhere() -> str:
    return f"there is no such folder or file in {Path.cwd()}"


def _saved(folder: Path) -> dict[str, Split]:
    """Map the splits of a folder that save_to_disk wrote."""
    import datasets

    if (folder / "dataset_dict.json").is_file():
        return _of_dataset(datasets.load_from_disk(str(folder)))
    if (folder / "state.json").is_file():
        return _of_dataset({"train": datasets.load_from_disk(str(folder))})
    return {}


def _plain(folder: Path, work: str) -> dict[str, Split]:
    """Find which files of a folder make which split: as `datasets` does, by their names or the folder's README."""
    if not folder.is_dir() or not data_files(folder):
        return {}
    import datasets

    builder = datasets.load_dataset_builder(str(folder), cache_dir=work)
    files = {str(split): [str(path) for path in paths] for split, paths in builder.config.data_files.items()}
    if not all(
        kind(Path(path)) in SUFFIXES and Path(path).is_file() for paths in files.values() for path in paths
    ):
        return {}
    check_shards([Path(path) for paths in files.values() for path in paths])
    return {split: _of_files(paths, builder.info.features or {}) for split, paths in files.items()}


def check_shards(paths: Iterable[Path]) -> None:
    """Refuse a data set of which a part is missing: its files' names say how many there are."""
    parts: dict[tuple[str, int], set[int]] = {}
    for path in paths:
        if found := _SHARD.match(path.name):
            name, number, total = found.groups()
            parts.setdefault((str(path.parent / name), int(total)), set()).add(int(number))
    faults = [
        f"{name}-*-of-{total:05d}: {total - len(there)} of {total} parts are missing, such as number "
        f"{min(set(range(total)) - there)}; copy the data set whole"
        for (name, total), there in parts.items()
        if there != set(range(total))
    ]
    if faults:
        raise UserErrors(faults)


def _loaded(root: str, cache: str) -> dict[str, Split]:
    """Load what only `datasets` can: other formats, and the hub, of which it keeps copies by revision."""
    import datasets

    return _of_dataset(datasets.load_dataset(root, cache_dir=cache))


def _of_dataset(splits: Mapping[str, Any]) -> dict[str, Split]:
    return {str(name): Split(partial(_same, rows), _names(rows.features)) for name, rows in splits.items()}


def _same(rows: Rows) -> Rows:
    return rows


def _of_files(paths: list[str], features: Mapping[str, Any]) -> Split:
    def rows() -> Rows:
        for path in paths:
            yield from read_rows(Path(path))

    def names(column: str) -> tuple[str, ...]:
        return _names(features)(column) or label_names(Path(paths[0]), column)

    return Split(rows, names)


def _names(features: Mapping[str, Any]) -> Callable[[str], tuple[str, ...]]:
    """Read the names of numbered labels from a data set's features."""

    def names(column: str) -> tuple[str, ...]:
        feature = features.get(column)
        return () if feature is None else tuple(vars(feature).get("names") or ())

    return names
