"""What training knows of the inside of Lightning: where a trainer looks for installed callbacks; nowhere else.

It has a test that says what broke when a new version moves it.
"""

from __future__ import annotations

import functools
import sys
from typing import Any


def find_callbacks_once() -> None:
    """Let Lightning look once a process for packages that bring callbacks: each trainer reads all entry points for it.

    What they bring is still made anew for each trainer. Which packages are found depends on `sys.path`; what is
    installed while a process runs is not what it runs with.
    """
    from lightning_fabric.utilities import registry as looked_in

    registry: Any = looked_in
    finding = registry.entry_points
    if not hasattr(finding, "found_once"):

        @functools.cache
        def found(path: tuple[str, ...], group: str) -> Any:
            return finding(group=group)

        def once(group: str) -> Any:
            return found(tuple(sys.path), group)

        once.found_once = found  # type: ignore[attr-defined]
        registry.entry_points = once
