"""The launcher that a configuration names, made by Hydra; a key that it does not take is told before that."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Mapping
from typing import Any

from instruct_ablate.errors import UserError, meant, with_kind

TARGET = "_target_"


def launcher_name(config: Any) -> str:
    """Return the choice of `hydra/launcher` that a composed configuration was made with."""
    return str(config.hydra.runtime.choices["hydra/launcher"])


def make_launcher(context: Any, task_function: Any, config: Any) -> Any:
    """Make the launcher; one whose extra is not installed is refused, naming the extra, and so are keys it lacks."""
    from hydra.core.plugins import Plugins
    from hydra.errors import InstantiationException

    name = launcher_name(config)
    extra = "slurm" if name.startswith("submitit") else name
    lacking = UserError(f"hydra/launcher={name} needs an extra: pip install 'instruct-ablate[{extra}]'")
    # Our launcher imports it where it queues jobs, and would miss it only there.
    if extra == "slurm" and importlib.util.find_spec("submitit") is None:
        raise lacking
    check_keys(name, config.hydra.launcher)
    try:
        return Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=task_function, config=config
        )
    except (InstantiationException, RuntimeError, ImportError) as error:
        # Hydra wraps what a launcher's own checks refuse: the user is shown our line without it.
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from error
        if extra not in ("joblib", "ray"):
            raise
        raise lacking from error


def check_keys(name: str, given: Mapping[str, Any]) -> None:
    """Refuse what a launcher's file has and its class does not take, or lacks and it needs.

    A class that cannot be found is left to Hydra, which says why.
    """
    target = given.get(TARGET)
    if not isinstance(target, str):
        raise UserError(f"hydra/launcher={name}: its file names no {TARGET}, the class of the launcher")
    module, _, leaf = target.rpartition(".")
    try:
        parameters = inspect.signature(vars(importlib.import_module(module))[leaf]).parameters
    except SystemExit as end:
        raise UserError(
            f"hydra/launcher={name}: {target} cannot be imported ({with_kind(end)}): mend it"
        ) from end
    except Exception:
        return
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return
    keys = [str(key) for key in given if not str(key).startswith("_")]
    if strange := [key for key in keys if key not in parameters]:
        raise UserError(
            f"hydra/launcher={name}: {target} takes no key {strange[0]!r}{meant(strange[0], list(parameters))}"
        )
    needed = [key for key, one in parameters.items() if one.default is one.empty and key not in keys]
    if needed:
        raise UserError(f"hydra/launcher={name}: its file lacks {', '.join(needed)}, which {target} needs")
