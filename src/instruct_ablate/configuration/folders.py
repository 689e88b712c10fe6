"""Where configuration files lie: the package's own, and folders of the user's."""

from __future__ import annotations

from pathlib import Path


def config_directory() -> Path:
    """Return the folder of the config groups: beside the package when installed, else the repository's."""
    packaged = Path(__file__).parents[1] / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "conf"


def own_directories() -> list[Path]:
    """Return the user's folders of config groups, which are searched beside ours: `conf/` here, and `--config-dir`."""
    here = Path.cwd() / "conf"
    beside = [here] if here.is_dir() and here != config_directory() else []
    return [*beside, *FURTHER]


FURTHER: list[Path] = []  # folders that `--config-dir` of a sub-command names, while it runs
