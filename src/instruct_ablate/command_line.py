"""`instruct-ablate`: looks at studies, checks variants, takes predictions in; sub-commands load when called."""

from __future__ import annotations

import gc
import importlib
import logging
import pkgutil
import sys

import click

from instruct_ablate import __version__, commands
from instruct_ablate.errors import UserError, meant
from instruct_ablate.terminal import complain, set_verbosity, write_all_characters


def _louder(ctx: click.Context, option: click.Parameter, given: bool) -> None:
    if given:
        set_verbosity(logging.INFO if option is VERBOSE else logging.ERROR)


VERBOSE = click.Option(
    ["-v", "--verbose"], is_flag=True, expose_value=False, callback=_louder, help="Say what is being done."
)
QUIET = click.Option(
    ["-q", "--quiet"], is_flag=True, expose_value=False, callback=_louder, help="Leave warnings out."
)


class Lazy(click.Group):
    """A group whose sub-commands are the files of the package `commands`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the sub-commands."""
        return sorted(found.name.rstrip("_") for found in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a sub-command; a misspelt one is refused, naming the meant."""
        names = self.list_commands(ctx)
        if cmd_name not in names:
            raise UserError(f"unknown command {cmd_name!r}{meant(cmd_name, names)}")
        # `import` is a word of Python's: its file is `import_`.
        file = f"{cmd_name}_" if cmd_name == "import" else cmd_name
        command = importlib.import_module(f"instruct_ablate.commands.{file}").command
        assert isinstance(command, click.Command)
        if cmd_name != "train" and VERBOSE not in command.params:  # train's words are Hydra's and entry's
            command.params += [VERBOSE, QUIET]
        return command


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="instruct-ablate")
def group() -> None:
    """Run ablation studies, look at them and work with their results."""


def main() -> None:
    """Run `instruct-ablate`: exit status 2 for a user's mistake, told in one message.

    A command makes millions of objects that stay: collecting is for those that come back to nothing, and rare here.
    """
    gc.set_threshold(100_000, 50, 100)
    write_all_characters()
    try:
        group()
    except UserError as fault:
        complain(str(fault))
        sys.exit(2)
    except Exception as error:
        from instruct_ablate.configuration.extensions import raised_by_own

        if (told := raised_by_own(error)) is None:
            raise
        complain(str(told))
        sys.exit(2)


if __name__ == "__main__":
    main()
