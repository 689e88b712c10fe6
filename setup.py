"""Puts `conf/`, which stays at the top of the repository, into the package as `instruct_ablate/conf`."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

_OWN = Path(__file__).parent / "conf"


class WithConf(build_py):
    """Copy the configuration beside the code; an editable install reads it where it lies."""

    def run(self) -> None:
        """Build as usual, then copy."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "instruct_ablate" / "conf"
            shutil.rmtree(target, ignore_errors=True)  # of an earlier build
            shutil.copytree(_OWN, target, ignore=shutil.ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": WithConf})
