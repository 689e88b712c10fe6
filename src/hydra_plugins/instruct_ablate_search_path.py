"""The launchers' configs in `conf/hydra/launcher/` stand for themselves, not for an addition to a plugin's own."""

# No `from __future__ import annotations`: Hydra runs plugin modules before they are in `sys.modules`.
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.plugins.search_path_plugin import SearchPathPlugin


class OwnLaunchers(SearchPathPlugin):
    """Drop launcher nodes that a file of ours replaces: Hydra would merge the two, and warn of it."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Leave the path as it is; it is asked for once all plugins have registered their nodes."""
        from instruct_ablate.schema import config_directory

        registered = ConfigStore.instance().repo["hydra"]["launcher"]
        for file in (config_directory() / "hydra" / "launcher").glob("*.yaml"):
            registered.pop(file.name, None)
