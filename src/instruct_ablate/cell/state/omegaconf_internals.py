"""What the cell's state takes from inside OmegaConf: how it writes YAML; nowhere else.

It has a test that says what broke when a new version moves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def as_yaml(tree: Mapping[str, Any]) -> str:
    """Return the text that `OmegaConf.to_yaml` makes of a tree, without making its nodes first: half of the time."""
    import yaml
    from omegaconf._utils import get_omega_conf_dumper

    dumper = get_omega_conf_dumper()
    text: str = yaml.dump(
        _plain(tree), default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=dumper
    )
    return text


def _plain(value: Any) -> Any:
    """Return dicts and lists, each of its own: YAML would refer back to one that is shared."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
