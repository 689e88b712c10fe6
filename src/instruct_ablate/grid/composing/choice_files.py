"""What a choice of a group puts into a configuration, read from its file alone where Hydra would do no more.

Composing everything anew for each choice of a grid takes most of the time that a plan of it does. A choice's file is
all there is to a group's part where nothing else that is composed touches that part: the schema stands below it, and
no experiment above. Whoever asks composes with Hydra wherever the answer is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

PRIMARY, SCHEMA = "config", "schema"


class ChoiceFiles:
    """The files of groups' choices, under what is chosen besides."""

    def __init__(self, loader: Any, master: Any) -> None:
        self._loader = loader
        hydra = master.hydra if master is not None else None
        self._overrides = list(hydra.overrides.hydra) if hydra is not None else []
        self._plain = hydra is None or not hydra.searchpath
        self._touched: dict[tuple[str, ...], Mapping[str, list[str]] | None] = {}
        self._schema: Any = None

    def part(self, beside: Sequence[str], group: str, choice: str) -> dict[str, Any] | None:
        """Return a group's part under a choice, its references as they stand; None: Hydra must be asked."""
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        found = self._loaded(f"{group}/{choice}") if self._is_alone(tuple(beside), group) else None
        if found is None or found.defaults_list or found.header["package"] is not None:
            return None
        if self._schema is None:
            self._schema = self._loaded(SCHEMA).config
        try:
            part = OmegaConf.merge(self._schema[group], found.config)
        except OmegaConfBaseException:
            return None  # which Hydra then says
        return OmegaConf.to_container(part, resolve=False)  # type: ignore[return-value]

    def _is_alone(self, beside: tuple[str, ...], group: str) -> bool:
        """Whether only the schema and the file of its choice touch a group's part."""
        if beside not in self._touched:
            self._touched[beside] = self._touching(beside) if self._plain else None
        touching = self._touched[beside]
        if touching is None:
            return False
        first, *others = touching.get(group, [""])
        return first == SCHEMA and len(others) == 1 and others[0].startswith(f"{group}/")

    def _touching(self, beside: Sequence[str]) -> Mapping[str, list[str]] | None:
        """Return the files that are composed by the parts they touch, in order; None where choices hang on others."""
        from hydra.types import RunMode

        overrides = [*self._overrides, *beside]
        touching: dict[str, list[str]] = {}
        for default in self._loader.compute_defaults_list(PRIMARY, overrides, RunMode.RUN).defaults:
            loaded = self._loaded(default.config_path)
            if loaded is None or any("${" in repr(vars(one)) for one in loaded.defaults_list or ()):
                return None
            package = default.package or ""
            for name in [package.partition(".")[0]] if package else loaded.config:
                touching.setdefault(str(name), []).append(default.config_path)
        return touching

    def _loaded(self, path: str) -> Any:
        return self._loader.repository.load_config(config_path=path)
