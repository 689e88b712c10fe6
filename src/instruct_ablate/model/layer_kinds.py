"""What a configuration says about whom a layer's tokens see: which kinds are known here, which only to transformers."""

from __future__ import annotations

from typing import Any

KNOWN = {"full_attention", "sliding_attention"}
# What names of other limits have in them, and the names that mean a sliding window or nothing of the kind.
LIMITS = ("window", "chunk")
NO_LIMITS = {"sliding_window", "sliding_window_pattern", "max_window_layers", "chunk_size_feed_forward"}


def unknown_kind(config: Any) -> str | None:
    """Name the setting by which layers see otherwise than all earlier tokens or those of a sliding window."""
    settings = config.get_text_config().to_dict()
    others = sorted(set(settings.get("layer_types") or ()) - KNOWN)
    if others:
        return f"layer_types={others[0]}"
    return next((f"{name}={value}" for name, value in settings.items() if _limits(name, value)), None)


def _limits(name: str, value: Any) -> bool:
    number = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return number and name.lstrip("_") not in NO_LIMITS and any(part in name for part in LIMITS)
