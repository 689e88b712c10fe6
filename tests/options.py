"""What users type behind a command: its arguments and options, and how each is taken."""

from __future__ import annotations

import click

Interface = dict[str, str]


def interface(command: click.Command) -> Interface:
    """Return arguments and options by what is typed, with how many values each takes and what it is left out as."""
    shown = {}
    for one in command.params:
        if isinstance(one, click.Option):
            if one.name in ("verbose", "quiet"):  # every command's
                continue
            kind = "switch" if one.is_flag else "several" if one.multiple else "value"
            default = "" if one.is_flag or one.multiple or one.default in (None, "") else f" {one.default}"
            shown[" ".join((*one.opts, *one.secondary_opts))] = kind + (
                default if isinstance(default, str) else ""
            )
        else:
            shown[one.name or ""] = ("some" if one.nargs == -1 else "one") + (
                " needed" if one.required else ""
            )
    return shown
