"""The Hydra entry behind `train.py`: check the command line, compose, hand over to the sweeper."""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from instruct_ablate import __version__
from instruct_ablate.configuration.composition import explain, groups, keys, register, unreadable
from instruct_ablate.configuration.extensions import raised_by_own
from instruct_ablate.configuration.folders import config_directory
from instruct_ablate.errors import TrialFailedError, UserError
from instruct_ablate.grid.composing.overrides import is_sweep
from instruct_ablate.grid.composing.overrides import prepared as checked
from instruct_ablate.process.processes import rewrite
from instruct_ablate.terminal import complain, echo, write_all_characters

_OPTUNA = "hydra_plugins.hydra_optuna_sweeper"
_SWEEPER = "hydra_plugins.instruct_ablate_sweeper"
_MANY = ("-m", "--multirun")
_LOUDNESS = {  # `-v` and `-q` as Hydra says them
    **dict.fromkeys(("-v", "--verbose"), "hydra.verbose=[instruct_ablate]"),
    **dict.fromkeys(("-q", "--quiet"), "hydra.job_logging.root.level=WARNING"),
}
_COMPLETES = ("-sc", "--shell-completion")
_SHOWS = {
    "--help",
    "-h",
    "--hydra-help",
    "--version",
    "--info",
    "-i",
    "--cfg",
    "-c",
    "--resolve",
}


def main() -> None:
    """Run `train.py`: exit status 0 if all cells are done, 1 if some are not, 2 for a user's mistake."""
    write_all_characters()
    try:
        try:
            _run()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read our words has gone, as in `train.py --help | head -1`
        # Python flushes standard output once more as it ends, and would meet the broken pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _run() -> None:
    if "--version" in sys.argv[1:]:
        echo(f"instruct-ablate, version {__version__}")
        return
    import hydra

    from instruct_ablate.grid.trial import run_task

    try:
        rewrite(prepared(sys.argv[1:]))
        register()
        os.environ["HYDRA_FULL_ERROR"] = "1"  # faults come back here instead of being printed by Hydra
        hydra.main(version_base=None, config_path=str(config_directory()), config_name="config")(run_task)()
    except BrokenPipeError:
        raise
    except TrialFailedError as failed:
        complain(f"{failed}. hydra.sweeper.max_failure_rate=1 goes on after trials that fail.")
        sys.exit(1)
    except Exception as error:
        fault = explain(error) or (unreadable(error) if _composing(error) else raised_by_own(error))
        if fault is None:
            raise
        complain(str(fault))
        sys.exit(2)
    except KeyboardInterrupt:
        echo("stopped; run the same command again to go on", err=True)
        sys.exit(130)


def _composing(error: BaseException) -> bool:
    """Whether Hydra was still reading the user's words: our sweeper had not been called."""
    frames = traceback.walk_tb(error.__traceback__)
    names = {str(frame.f_globals.get("__name__")) for frame, _ in frames}
    return any(name.startswith("hydra.") for name in names) and _SWEEPER not in names


def prepared(arguments: Sequence[str]) -> list[str]:
    """Check the overrides among the arguments and make one cell a grid of one."""
    check_options([word for word in arguments if not _is_override(word) and word not in _LOUDNESS])
    if any(word in _COMPLETES for word in arguments):
        return list(arguments)  # `install=bash` and what is half typed are no overrides
    overrides = checked([word for word in arguments if _is_override(word)])
    overrides += [_LOUDNESS[word] for word in arguments if word in _LOUDNESS]
    arguments = [word for word in arguments if word not in _LOUDNESS]
    words = [*(word for word in arguments if not _is_override(word)), *overrides]
    words.sort(key=lambda word: word not in _MANY)  # Hydra reads no overrides on both sides of an option
    searches = _check_sweeper(words)
    if any(word.split("=")[0] in _SHOWS for word in words) or set(_MANY) & set(words):
        return words
    swept = [word for word in overrides if is_sweep(word)]
    if swept:
        raise UserError(
            f"{swept[0]} names several values: add -m to sweep over them, or quote it if it is one value"
        )
    if searches:
        raise UserError(f"{searches} runs many cells: add -m")
    if any(word.startswith("experiment=") for word in overrides):
        return ["--multirun", *words]  # an experiment is a grid, asked for with -m or without
    return ["--multirun", *words, "hydra.sweeper.single=true"]


def _check_sweeper(words: Sequence[str]) -> str:
    """Return the word that names another sweeper than ours, if any; one whose extra is not there is refused."""
    named = next((word for word in words if word.startswith("hydra/sweeper=")), "")
    if named.endswith("=optuna") and importlib.util.find_spec(_OPTUNA) is None:
        raise UserError(f"{named} needs an extra: pip install 'instruct-ablate[optuna]'")
    return "" if named.endswith("=ablation") else named


def check_options(arguments: list[str]) -> None:
    """Refuse in a line what Hydra's own parser would answer with its whole usage, and what it would do half."""
    from hydra._internal.utils import get_args_parser  # what Hydra reads the same words with

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message}; `python train.py --hydra-help` lists the options")

    for word in arguments:
        name = word.lstrip("-").partition("=")[0].partition(" ")[0]
        if word.startswith("--") and name in (*groups(), *keys()):
            raise UserError(f"{word}: groups and keys are written without hyphens: {name}=VALUE")
    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    given = parser.parse_args(arguments)
    if given.overrides:
        raise UserError(
            f"{given.overrides[0]!r} is neither an option nor KEY=VALUE, such as model=tiny_llama; no space stands "
            "beside the equals sign or a comma: seed=0,1"
        )
    if given.run:
        refuse("leave out --run: one cell runs without an option, a grid with -m")
    if given.experimental_rerun is not None:
        refuse("--experimental-rerun is not taken: the same command runs what is missing, and nothing twice")
    if given.config_dir == "":
        refuse("--config-dir is empty: give a folder")


def _is_override(word: str) -> bool:
    return ("=" in word and not word.startswith("-")) or word.startswith("~")
