"""Who may open a page: names and passwords from an option, the environment or a file."""

from __future__ import annotations

import os
from pathlib import Path

from frtune.errors import InputError

PASSWORD_VARIABLE = "FRTUNE_PASSWORD"


def read_auth(auth: str | None, auth_file: str | Path | None) -> list[tuple[str, str]] | None:
    """Return the pairs of user and password that may sign in; ``None`` lets everyone in.

    Args:
        auth: ``USER``, with the password in the environment variable ``FRTUNE_PASSWORD``, or
            ``USER:PASSWORD``, which other users of the machine see in the process list.
        auth_file: A file with ``USER:PASSWORD`` on each line; blank lines and ``#`` lines are left
            out.

    Raises:
        InputError: If both are given, a password is missing, or the file cannot be read.

    Example:
        >>> read_auth("ada:secret", None)
        [('ada', 'secret')]
    """
    if auth is not None and auth_file is not None:
        raise InputError("--auth and --auth-file: give one of them.")
    if auth is None:
        return None if auth_file is None else _from_file(auth_file)
    user, mark, password = auth.partition(":")
    password = password if mark else os.environ.get(PASSWORD_VARIABLE, "")
    if not user or not password:
        raise InputError(
            f"--auth {user}: has no {'password' if user else 'user'}. Give a user and set "
            f"{PASSWORD_VARIABLE}, or pass USER:PASSWORD, or --auth-file."
        )
    return [(user, password)]


def _from_file(path: str | Path) -> list[tuple[str, str]]:
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--auth-file {path}: cannot be read ({error}).") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        user, _, password = line.strip().partition(":")
        if not user or not password or user in found:
            raise InputError(
                f"--auth-file {path}, line {number}: not USER:PASSWORD with a user of its own. "
                "Write each user once."
            )
        found[user] = password
    if not found:
        raise InputError(f"--auth-file {path}: has no user. Write USER:PASSWORD on a line.")
    return list(found.items())
