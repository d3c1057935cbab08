"""The one error that a user's input can cause, and the end that a user asks for."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input: one line that says what is wrong, where, and what to do.

    The command line prints it without a traceback and exits with code 2.

    Example:
        >>> raise InputError("k=0: a positive whole number. Pass k=10, for example.")
        Traceback (most recent call last):
        ...
        frtune.errors.InputError: k=0: a positive whole number. Pass k=10, for example.
    """


class RunStopped(SystemExit):
    """A signal ended training: the step was finished and a checkpoint saved.

    Left alone, it ends the process with 128 plus the signal's number, as shells count: 130 after
    SIGINT (Ctrl-C), 143 after SIGTERM.

    Example:
        >>> RunStopped(15, "checkpoint-8 is saved").code
        143
    """

    def __init__(self, signum: int, message: str):
        super().__init__(128 + signum)
        self.signum, self.message = signum, message


def nearest(name: str, choices: list[str]) -> str:
    """Return ``" Did you mean X?"`` for the choice nearest to ``name``, ``""`` if none is near.

    Example:
        >>> nearest("learning_rat", ["learning_rate", "seed"])
        ' Did you mean learning_rate?'
        >>> nearest("zzz", ["learning_rate", "seed"])
        ''
    """
    from difflib import get_close_matches

    found = get_close_matches(name, choices, n=1, cutoff=0.6)
    return f" Did you mean {found[0]}?" if found else ""


def first_line(error: BaseException) -> str:
    """The first line of an error's text, for a message of one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
