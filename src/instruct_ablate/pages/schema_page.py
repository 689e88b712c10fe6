"""The configuration's keys as a page and as a JSON schema for editors, both made from the dataclasses of `schema`."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterator
from dataclasses import MISSING, Field, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from omegaconf import MISSING as REQUIRED

from instruct_ablate import schema
from instruct_ablate.schema import Config

_KINDS = {str: "string", int: "integer", float: "number", bool: "boolean"}


def json_schema(node: Any = Config) -> dict[str, Any]:
    """Return the JSON schema of a configuration, or of a group's part of it; references to other keys are texts."""
    keys = {
        name: json_schema(hint) if is_dataclass(hint) else {**_described(name, node), **_typed(hint)}
        for name, hint in get_type_hints(node).items()
    }
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"} if node is Config else {}
    return {**draft, "type": "object", "description": _about(node), "properties": keys}


def configuration_page() -> str:
    """Return docs/configuration.md."""
    parts = [
        "# Configuration",
        "Made by `instruct-ablate schema --markdown` from `schema.py`; `instruct-ablate schema` prints the JSON schema "
        "for editors. A group's choices are the files of `conf/GROUP/`, which set other defaults than these.",
    ]
    for name, hint in {"": Config, **get_type_hints(Config)}.items():
        if is_dataclass(hint):
            parts += [f"## {name or 'the cell itself'}", _about(hint), "\n".join(_rows(name, hint))]
    return "\n\n".join(parts) + "\n"


def _rows(group: str, node: Any) -> Iterator[str]:
    yield "| key | type | default | what |\n|---|---|---|---|"
    for name, hint in get_type_hints(node).items():
        if not is_dataclass(hint):
            key, default = f"{group}.{name}" if group else name, _default(node.__dataclass_fields__[name])
            kind, what = map(_cell, (_written(hint), _comments(node).get(name, "")))
            yield f"| `{key}` | {kind} | {'must be given' if default == REQUIRED else f'`{default}`'} | {what} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _about(node: Any) -> str:
    return (inspect.getdoc(node) or "").partition("\n")[0]


def _described(name: str, node: Any) -> dict[str, Any]:
    default = _default(node.__dataclass_fields__[name])
    what = _comments(node).get(name, "")
    return {
        **({"description": what} if what else {}),
        **({} if default == REQUIRED else {"default": default}),
    }


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _typed(hint: Any) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return {"anyOf": [*(_typed(one) for one in arguments if one is not type(None)), {"type": "null"}]}
    if origin is list:
        return {"type": "array", "items": _typed(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _typed(arguments[1])}
    return {} if hint is Any else {"type": _KINDS[hint]}


def _written(hint: Any) -> str:
    typed = _typed(hint)
    if "anyOf" in typed:
        return f"{typed['anyOf'][0]['type']} or null"
    return f"list of {typed['items']['type']}s" if "items" in typed else str(typed["type"])


@cache
def _comments(node: Any) -> dict[str, str]:
    """Return what stands as a comment behind a key, or alone in the lines above it."""
    lines = inspect.getsource(schema).splitlines()
    tree = ast.parse("\n".join(lines))
    (own,) = (part for part in tree.body if isinstance(part, ast.ClassDef) and part.name == node.__name__)
    told = {}
    for part in own.body:
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            first, last = part.lineno - 1, part.end_lineno or part.lineno
            behind = [line.partition("  # ")[2].strip() for line in lines[first:last]]
            above = [lines[first - 1].strip()[2:]] if lines[first - 1].strip().startswith("# ") else []
            said = [line.strip("# ") for line in (*above, *behind) if line]
            inner = [
                lines[at].partition("#")[2].strip() for at in range(first, last) if "  # " not in lines[at]
            ]
            told[part.target.id] = " ".join((*said, *(one for one in inner if one)))
    return told
