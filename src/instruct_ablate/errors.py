"""Users' mistakes: errors that say what was given, what is allowed and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class UserError(Exception):
    """A mistake that the user can mend; shown as one message, without a traceback."""


class UserErrors(UserError):  # noqa: N818 - several at once
    """Several mistakes found before anything started, told at once."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(f"- {fault}" for fault in self.faults))


def in_a_line(error: BaseException, longest: int = 500) -> str:
    """Return what a library's error says, in one line of so many characters at most; its kind where it says nothing."""
    return " ".join(str(error).split())[:longest] or type(error).__name__


def first_line(error: BaseException) -> str:
    """Return the first line of what a library's error says; its kind where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def with_kind(error: BaseException, longest: int | None = None) -> str:
    """Return a library's error's kind and what it says, as `KeyError: 'a'`; the kind alone where it says nothing.

    `longest`: in one line, and at most so many characters of what it says.
    """
    said = str(error).strip() if longest is None else " ".join(str(error).split())[:longest]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def refusal(faults: Sequence[str]) -> UserError:
    """Build the error for one or several faults found before anything started."""
    return UserError(faults[0]) if len(faults) == 1 else UserErrors(faults)


def nearest(given: str, allowed: Iterable[str], alike: float = 0.4) -> str:
    """Return "; did you mean 'x'?" for the allowed word that `given` abbreviates, or the closest one, or nothing.

    `alike`: how close it must be, from 0 to 1.
    """
    names = list(allowed)
    short = [name for name in names if abbreviates(given, name)]
    close = short or difflib.get_close_matches(given, names, n=1, cutoff=alike)
    return f"; did you mean {close[0]!r}?" if close else ""


def closed(given: str, allowed: Iterable[str], alike: float = 0.4) -> str:
    """Return what `nearest` does, or the full stop in its place: what ends a sentence that another one follows."""
    return nearest(given, allowed, alike) or "."


def abbreviates(given: str, name: str) -> bool:
    """Whether a key is another one's short form: the first letters of its words, as `lr` and `trainer.lr` are."""
    parent, _, leaf = given.rpartition(".")
    group, _, long = name.rpartition(".")
    words = long.split("_")
    return parent in ("", group) and len(words) > 1 and leaf == "".join(word[:1] for word in words)


def unknown(what: str, given: str, allowed: Iterable[str]) -> UserError:
    """Build the error for a name that is not among the allowed ones."""
    names = sorted(allowed, key=_by_number)
    return UserError(f"unknown {what} {given!r}{meant(given, names)}")


def _by_number(name: str) -> tuple[bool, int, str]:
    """Order names, those that are whole numbers first and by their size."""
    whole = name.isdecimal()
    return not whole, int(name) if whole else 0, name


def meant(given: str, allowed: Iterable[str]) -> str:
    """Return what was probably meant, if anything is near, and all that is allowed."""
    names = list(allowed)
    return f"{closed(given, names)} Allowed: {', '.join(names)}."


class Interrupted(Exception):  # noqa: N818 - not an error: the cell was told to stop and can be resumed
    """A cell was told to stop; its checkpoint is written and the same command goes on from there."""


def among(what: str, given: str, allowed: Iterable[str]) -> None:
    """Refuse a name that is not among the allowed ones."""
    names = tuple(allowed)
    if given not in names:
        raise unknown(what, given, names)


class TrialFailedError(Exception):
    """A trial of a search has no score: its cell is not done."""


class BrokenInvariantError(Exception):
    """A cell's result contradicts itself, or its model is none any more: it fails, and says why."""


class ChangedMeanwhileError(BrokenInvariantError):
    """What a cell reads changed while it started; the same command finds the files as they are now."""


# What an input, a setting or code raises each time. Not so what a disk, a network, memory or a device may do:
# `OSError`, `RuntimeError`, `MemoryError`, errors of libraries' own.
_LASTING = (
    UserError, BrokenInvariantError, ArithmeticError, AssertionError, AttributeError, ImportError, LookupError,
    NameError, NotImplementedError, SyntaxError, TypeError, ValueError, SystemExit,
)  # fmt: skip


def is_lasting(error: BaseException) -> bool:
    """Whether the same command would meet an error again: it and all that led to it are of kinds that do not pass."""
    if not isinstance(error, _LASTING) or isinstance(error, ChangedMeanwhileError):
        return False
    before = error.__cause__ or error.__context__
    return before is None or is_lasting(before)
