"""Whether this machine lets a run write what it will have to, looked at before anything is bought."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hetzner_k3s.model.errors import LocalTrouble

NO_FOLDER = "there is no folder for temporary files that can be written"
NO_FOLDER_ADVICE = "Set TMPDIR to one, or make /tmp writable."


def demand_writable(*files: Path) -> None:
    """Check that these files can be written, and that there is a folder for temporary ones.

    Raises:
        LocalTrouble: a folder or file of another user, a read-only or full disk, no temporary folder.
    """
    for file in files:
        _demand(file)
    try:
        tempfile.gettempdir()
    except OSError as trouble:
        raise LocalTrouble(NO_FOLDER, hint=NO_FOLDER_ADVICE) from trouble


def _demand(file: Path) -> None:
    target = file.resolve()
    if target.exists() and not os.access(target, os.W_OK):
        raise _not_allowed(target)
    folder = next(parent for parent in target.parents if parent.exists())
    if not folder.is_dir():
        raise LocalTrouble(f"{folder} is in the way of {target}: it is no folder", hint="Move it away.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _not_allowed(folder)
    if os.statvfs(folder).f_bavail == 0:
        raise LocalTrouble(f"no space is left for {target}", hint=f"Make room on the disk of {folder}.")


def _not_allowed(path: Path) -> LocalTrouble:
    owner = path.stat().st_uid
    whose = "" if owner == os.getuid() else f"; it is of the user id {owner}, and this is {os.getuid()}"
    return LocalTrouble(f"{path} cannot be written{whose}", hint="Correct its owner or mode, or name another place.")
