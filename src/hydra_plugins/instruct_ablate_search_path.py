"""Where configs are found: the user's own `conf/` too; launchers' configs of ours replace a plugin's own."""

# No `from __future__ import annotations`: Hydra runs plugin modules before they are in `sys.modules`.
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.plugins.search_path_plugin import SearchPathPlugin


class OwnLaunchers(SearchPathPlugin):
    """Let users add files to any group; drop launcher nodes that a file of ours replaces (Hydra would merge both)."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the user's own folders; this is called once all plugins have registered their nodes."""
        from instruct_ablate.configuration.folders import config_directory, own_directories

        for own in own_directories():
            search_path.append("user", f"file://{own}")
        registered = ConfigStore.instance().repo["hydra"]["launcher"]
        for file in (config_directory() / "hydra" / "launcher").glob("*.yaml"):
            registered.pop(file.name, None)
