"""The configuration that a cell was run with, as it lies beside the record: read as data, nothing in it is resolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from instruct_ablate.cell.state.omegaconf_internals import as_yaml
from instruct_ablate.cell.state.record.record_file import CorruptRecordError, decode
from instruct_ablate.disk.whole_files import read_inside, write_whole
from instruct_ablate.errors import UserError, in_a_line

if TYPE_CHECKING:
    from instruct_ablate.cell.state.identity import Identity
    from instruct_ablate.schema import Config

T = TypeVar("T")
CONFIG, IDENTITY = "config.yaml", "identity.json"


def describe(folder: Path, config: Config, identity: Identity) -> None:
    """Write down what a cell was asked for, and what its identity is made from."""
    write_whole(folder / CONFIG, as_yaml(asdict(config)))
    write_whole(folder / IDENTITY, identity.to_json())


def stored_config(folder: Path) -> Mapping[str, Any]:
    """Return a cell's configuration, empty where it has none (imported cells); one that is none is a `UserError`."""
    import yaml

    try:
        text = read_inside(folder, CONFIG).decode()
        # As plain YAML, which resolves no `${...}` of a study; the loader in C, where there is one, is the faster.
        tree = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{folder / CONFIG} cannot be read ({type(error).__name__})") from error
    if not isinstance(tree, Mapping):
        raise UserError(f"{folder / CONFIG} is no configuration")
    return tree


def stored_part(folder: Path, name: str, kind: type[T]) -> T:
    """Return a group of a cell's configuration as its dataclass; keys that came later have their defaults."""
    part = stored_config(folder).get(name)
    try:
        return decode({str(key): value for key, value in dict(part or {}).items()}, kind)
    except (CorruptRecordError, TypeError, ValueError) as error:
        raise UserError(f"{folder / CONFIG}: {name}: {in_a_line(error)}") from error


def stored_texts(folder: Path, *keys: str) -> list[str]:
    """Return a list of texts of a cell's configuration, such as `evaluation`, `metrics`; empty where there is none."""
    value = _stored(folder, keys)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def stored_flag(folder: Path, *keys: str) -> bool:
    """Return whether a switch of a cell's configuration is on; off where there is none."""
    return _stored(folder, keys) is True


def stored_number(folder: Path, *keys: str) -> int | None:
    """Return a whole number of a cell's configuration; None where there is none."""
    value = _stored(folder, keys)
    return value if type(value) is int else None


def _stored(folder: Path, keys: Sequence[str]) -> Any:
    value: Any = stored_config(folder)
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
