"""Values of a configuration with the types of the schema: plain, checked, lists of texts joined."""

from __future__ import annotations

from dataclasses import is_dataclass
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from instruct_ablate.errors import UserError
from instruct_ablate.schema import JOINED_BY, MISSING, Config


def tree(part: Any) -> dict[str, Any]:
    """Return a configuration as nested dicts, to read and not to change: its lists are the very ones."""
    values = vars(part)
    return {name: tree(value) if is_dataclass(value) else value for name, value in values.items()}


def plain(config: Any) -> Config:
    """Turn a composed DictConfig into a typed `Config` object; a bare text is a list of one where a list belongs."""
    from omegaconf import OmegaConf

    given = {name: config[name] for name in Config.__dataclass_fields__}
    result = typed(Config, OmegaConf.to_container(OmegaConf.create(given), resolve=False))
    assert isinstance(result, Config)
    return result


def typed(kind: type, values: Any) -> Any:
    """Type plain values, of the whole or of a part that refers to no other; `UserError` where a text is none."""
    from omegaconf import OmegaConf

    return with_one_zero(OmegaConf.to_object(OmegaConf.merge(_structured(kind), _listed(kind, values))))


def with_one_zero(node: Any) -> Any:
    """Return a configuration, or a part of one, without the zero that has a minus: it is written as another number."""
    if isinstance(node, float):
        # Minus zero and zero add up to zero; every other number stays what it is.
        return node + 0.0
    if isinstance(node, list):
        return [with_one_zero(one) for one in node]
    if isinstance(node, dict):
        return {key: with_one_zero(one) for key, one in node.items()}
    if is_dataclass(node):
        for name, value in vars(node).items():
            setattr(node, name, with_one_zero(value))
    return node


@cache
def _structured(kind: type) -> Any:
    """Return a dataclass's schema, made once: to make it takes as long as to use it. Merging copies it."""
    from omegaconf import OmegaConf

    return OmegaConf.structured(kind)


def takes_several(node: type, name: str) -> bool:
    """Whether a key is a text in whose place a list of them may stand."""
    return bool(node.__dataclass_fields__[name].metadata)  # type: ignore[attr-defined]


def is_text(hint: Any) -> bool:
    """Whether a key holds a text, or several of them."""
    held = get_args(hint)[1:] if get_origin(hint) is dict else get_args(hint)
    return str in (hint, *held)


def _listed(node: type, values: Any, prefix: str = "") -> Any:
    """Put bare texts into lists wherever the schema has a list; what is no text is refused where one belongs."""
    made = {}
    for name, hint in get_type_hints(node).items():
        if name not in values:
            continue
        value, key = values[name], prefix + name
        if is_text(hint):
            check_texts(key, value)
        if takes_several(node, name) and isinstance(value, list):
            value = JOINED_BY.join(map(str, value))
        bare = get_origin(hint) is list and isinstance(value, str) and value != MISSING and "${" not in value
        nested = is_dataclass(hint) and isinstance(value, dict)
        made[name] = [value] if bare else _listed(hint, value, f"{key}.") if nested else value
    return {**values, **made}


def check_texts(key: str, value: Any) -> None:
    """Refuse a truth value or a fraction in the place of a text, for nobody knows how it was spelt.

    YAML reads `no` as false, which as a text would be "False", and 1.50 as 1.5.
    """
    if isinstance(value, list):
        for number, one in enumerate(value):
            check_texts(f"{key}[{number}]", one)
    elif isinstance(value, dict):
        for name, one in value.items():
            check_texts(f"{key}.{name}", one)
    elif isinstance(value, bool | float):
        told = str(value).lower()
        raise UserError(
            f"{key}={told} must be one text: write it in quotes, such as '{told}' (without them YAML reads yes, no, "
            "on and off as true or false, and 1.50 as 1.5)"
        )
