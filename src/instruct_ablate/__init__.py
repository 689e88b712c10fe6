"""Instruct-Ablate: ablation grids that show what a model really uses of its instructions.

`load_study`, `compose` and `run` load when they are first used: importing the package alone costs nothing.
"""

import importlib
import time

STARTED = time.time()  # a file of this package that changed later may have been imported as it was before
__version__ = "0.1.0"
__all__ = ["__version__", "compose", "load_study", "run"]


def __getattr__(name: str) -> object:
    """Load what is for use from Python."""
    if name in __all__:
        return getattr(importlib.import_module("instruct_ablate.python_api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
