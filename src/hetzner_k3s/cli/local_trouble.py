"""Troubles of this machine are its user's, and no bug: each becomes one sentence with the path, and exit code 2."""

from __future__ import annotations

import errno
import os
from typing import Final

from hetzner_k3s.model.errors import LocalTrouble

_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_NOT_ALLOWED: Final = {errno.EACCES, errno.EPERM, errno.EROFS}
_ADVICE: Final = {
    **dict.fromkeys(_FULL, "Make room on that disk and run the command again."),
    **dict.fromkeys(_NOT_ALLOWED, "Correct its owner or mode, or name another place, and run the command again."),
}

_EXTRA: Final = frozenset({"aiohttp", "moto", "yaml", "starlette", "uvicorn", "werkzeug", "flask"})
"""What the extra `lab` brings (pyproject.toml), as modules."""


def explained(error: Exception) -> LocalTrouble | None:
    """Return what a system error of this machine means, None where it is none, or one of the network."""
    if isinstance(error, ModuleNotFoundError):
        return _missing(error)
    if not isinstance(error, OSError) or isinstance(error, ConnectionError | TimeoutError):
        return None
    if error.filename is None and error.errno not in _FULL:
        return _no_temporary_folder(error)
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    why = (error.strerror or str(error)).lower()
    return LocalTrouble(
        f"{where}{why}", hint=_ADVICE.get(error.errno or 0, "See to that path and run the command again.")
    )


def demand_extra() -> None:
    """Check that what the extra `lab` brings is installed, before a lab is begun.

    Raises:
        LocalTrouble: it is not.
    """
    from importlib.util import find_spec

    for name in ("aiohttp", "moto", "yaml", "starlette", "uvicorn"):
        if find_spec(name) is None:
            raise _without_extra(name)


def _missing(error: ModuleNotFoundError) -> LocalTrouble | None:
    name = (error.name or "").partition(".")[0]
    return _without_extra(name) if name in _EXTRA else None


def _without_extra(name: str) -> LocalTrouble:
    return LocalTrouble(
        f"the lab needs the package `{name}`, which is not installed",
        hint="Install hetzner-k3s with its extra `lab`: `pipx install --force '.[lab]'` in its source folder, or "
        "`pip install 'hetzner-k3s[lab]'`.",
    )


def _no_temporary_folder(error: OSError) -> LocalTrouble | None:
    if "temporary directory" not in str(error):
        return None
    return LocalTrouble(
        "there is no folder for temporary files that can be written", hint="Set TMPDIR to one, or make /tmp writable."
    )
