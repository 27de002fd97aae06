"""Debug transcripts on this machine: `<state folder>/transcripts/<when>-<command>-<run>.jsonl`, one JSON line an event.

They explain and decide nothing, so nothing that goes wrong here may end a run: what cannot be written is dropped, and
why is kept for whoever asks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hetzner_k3s.adapters.system.files import make_private

RUNS_KEPT: Final = 20
"""Of runs that may change something, and as many again of those that only look: a `status` a minute pushes out none."""
_MOST_BYTES: Final = 16 << 20
"""Of one transcript: a run on a thousand nodes has a third of that; a watch of a day would have more."""
_LOOKS: Final = frozenset({"plan", "status", "snapshots", "kubeconfig", "run", "ssh"})
_NAME: Final = re.compile(r"(?P<when>\d{8}T\d{6}Z)-(?P<command>[a-z]+)-(?P<run>[0-9A-Za-z_-]+)\.jsonl")


def transcripts(folder: Path) -> list[Path]:
    """Return the transcripts that lie in a state folder, the newest first; none where it cannot be read."""
    try:
        found = [path for path in (folder / "transcripts").iterdir() if _NAME.fullmatch(path.name)]
    except OSError:
        return []
    return sorted(found, key=lambda path: path.name, reverse=True)


def run_of(path: Path) -> str:
    """Return the id of the run that a transcript is of."""
    named = _NAME.fullmatch(path.name)
    return named["run"] if named else path.stem


class TranscriptFile:
    """A transcript that is being written, mode 0600; nothing of it raises, and nothing is written unless it is `kept`.

    Args:
        folder: the cluster's state folder, None where this machine has none.
        command: of hetzner-k3s, one word.
        run: its id.
        began: UNIX seconds.
    """

    def __init__(self, folder: Path | None, command: str, run: str, began: float, *, kept: bool = True) -> None:
        self.path: Path | None = None
        self.trouble = "" if folder is not None or not kept else "this user has no home folder"
        self._handle = -1
        self._written = 0
        if folder is not None and kept:
            when = datetime.fromtimestamp(began, UTC)
            self._open(folder / "transcripts" / f"{when:%Y%m%dT%H%M%SZ}-{command}-{run}.jsonl")

    def _open(self, path: Path) -> None:
        try:
            make_private(path.parent)
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            os.fchmod(self._handle, 0o600)
        except OSError as error:
            self._give_up(error)
            return
        self.path = path
        _forget_old(path)

    def write(self, lines: Sequence[str], *, last: bool = False) -> None:
        """Append lines in one write; a transcript that is full takes the `last` ones alone."""
        if self._handle < 0 or (self._written > _MOST_BYTES and not last):
            return
        content = memoryview("".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
        try:
            while content:
                count = os.write(self._handle, content)
                self._written += count
                content = content[count:]
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """End the file."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            try:
                os.close(handle)
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.trouble = self.trouble or (error.strerror or type(error).__name__).lower()
        self.close()


def _forget_old(newest: Path) -> None:
    """Delete all but the newest of the kind of run that has just begun."""
    looks = _is_a_look(newest)
    alike = [path for path in transcripts(newest.parent.parent) if _is_a_look(path) is looks and path != newest]
    for path in alike[RUNS_KEPT - 1 :]:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            return


def _is_a_look(path: Path) -> bool:
    named = _NAME.fullmatch(path.name)
    return named is not None and named["command"] in _LOOKS
