"""The births that began from this machine, and the deletions that closed them: `births.jsonl` of a cluster's name.

One name may be a cluster in each of several projects (docs/decisions/0009). Hetzner does not say which project a token
is of, so a project is told by its endpoint and token. A birth that another project's token opened is an obstacle all
the same where the file or the kubeconfig is that cluster's: then this token is more likely the wrong one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hetzner_k3s.adapters.system.files import append_private

OPENED: Final = "birth opened"
CLOSED: Final = "birth closed"
WRITTEN: Final = "kubeconfig written"
_ANY: Final = ""
"""The project of lines from before it was noted: any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Which project a run works in, and from where: `config` and `kubeconfig` are paths.

    `lab` tells the lab that the project is of, empty at Hetzner: with a lab its projects are gone.
    """

    key: str
    lab: str
    config: str
    kubeconfig: str

    def note(self) -> dict[str, str]:
        """Return what is noted beside an event."""
        told = {"project": self.key, "config": self.config, "kubeconfig": self.kubeconfig}
        return {**told, "lab": self.lab} if self.lab else told


def project_key(endpoint: str, token: str) -> str:
    """Return what tells a project from others: 12 digits of a hash, which give nothing of the token away."""
    return hashlib.sha256(f"{endpoint}\n{token}".encode()).hexdigest()[:12]


class Births:
    """What is remembered of the births of one name.

    Args:
        file: where.
        here: the project of this run.
    """

    def __init__(self, file: Path, here: Project) -> None:
        self._file, self._here = file, here

    def add(self, line: Mapping[str, Any]) -> None:
        """Remember an event of this project."""
        append_private(self._file, json.dumps({**line, **self._here.note()}, ensure_ascii=False) + "\n")

    def is_open(self) -> bool:
        """Check whether a birth was begun and not closed that stands in the way of one in this project."""
        open_births: dict[str, Mapping[str, Any]] = {}
        for entry in self._entries():
            if entry.get("event") == CLOSED:
                open_births = {key: found for key, found in open_births.items() if not _closes(entry, found)}
            elif entry.get("event") != WRITTEN:
                open_births[_project(entry)] = entry
        return any(self._hinders(entry) for entry in open_births.values())

    def closed_cas(self) -> frozenset[str]:
        """Return the CA hashes of clusters that were deleted from here."""
        return frozenset(
            str(entry["ca"]) for entry in self._entries() if entry.get("event") == CLOSED and "ca" in entry
        )

    def is_of_another_lab(self, ca: str) -> bool:
        """Check whether a kubeconfig with this CA was written for an emulated project that is not this one."""
        written = [entry for entry in self._entries() if entry.get("event") == WRITTEN and entry.get("ca") == ca]
        return bool(written) and all(self._is_elsewhere(entry) for entry in written)

    def _hinders(self, entry: Mapping[str, Any]) -> bool:
        if _project(entry) in (_ANY, self._here.key):
            return True
        return not self._is_elsewhere(entry) and _share_a_file(entry, self._here.note())

    def _is_elsewhere(self, entry: Mapping[str, Any]) -> bool:
        """Check whether something was noted in a lab that is not the one of this run."""
        return bool(entry.get("lab")) and entry.get("lab") != self._here.lab

    def _entries(self) -> Iterator[Mapping[str, Any]]:
        try:
            lines = self._file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            yield _parsed(line)


def _parsed(line: str) -> Mapping[str, Any]:
    """Read a line; one that a crash cut off was a birth being opened or closed, and only the latter were harmless."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _project(entry: Mapping[str, Any]) -> str:
    return str(entry.get("project", _ANY))


def _closes(closing: Mapping[str, Any], opened: Mapping[str, Any]) -> bool:
    """Check whether a deletion closed a birth: of its project, of any, or with the same files, whose name was typed."""
    projects = {_project(closing), _project(opened)}
    return len(projects) == 1 or _ANY in projects or _share_a_file(closing, opened)


def _share_a_file(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return any(one.get(key) and one.get(key) == other.get(key) for key in ("config", "kubeconfig"))
