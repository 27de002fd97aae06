"""The settings of the configuration file: how they are named, where they stand, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Severity = Literal["error", "warning"]
KeyPath = tuple[str | int, ...]

_LONGEST_KEY: Final = 120


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the file; both count from 1, 0 means the file as a whole."""

    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    `path` is the file as the user named it, `key` the dotted path of the setting (empty: the file itself).
    """

    path: str
    position: Position
    key: str
    message: str
    severity: Severity = "error"

    @property
    def line(self) -> int:
        """Return the line, from 1; 0 is the file as a whole."""
        return self.position.line

    @property
    def column(self) -> int:
        """Return the column, from 1; 0 is the file as a whole."""
        return self.position.column

    def __str__(self) -> str:
        """Return the line a user reads: `cluster.yaml:6:3: masters_pool.locatoin: unknown key`."""
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        key = self.key if len(self.key) <= _LONGEST_KEY else f"{self.key[:_LONGEST_KEY]}…"
        return ": ".join(filter(None, (place, "warning" if self.severity == "warning" else "", key, self.message)))


@dataclass(frozen=True, slots=True)
class SettingPlaces:
    """Where the file gives its settings, for what only a look at the world finds wrong with one.

    `file` is its name as the user gave it (empty: the spec was read from no file); `given` has every setting with a
    value, and the sections that hold them.
    """

    file: str = ""
    given: Mapping[KeyPath, Position] = field(default_factory=dict)

    def first_given(self, *paths: KeyPath) -> KeyPath:
        """Return the first of these settings that the file gives a value, else the last: its default holds."""
        return next((path for path in paths if path in self.given), paths[-1])

    def diagnose(self, path: KeyPath, message: str) -> Diagnostic:
        """Return what is wrong with a setting; one that the file leaves out stands at its section."""
        left_out = self.given and path and path not in self.given
        shown = f"{message} (the file does not set it)" if left_out else message
        return Diagnostic(self.file, self._position(path), dotted(path), shown)

    def _position(self, path: KeyPath) -> Position:
        sections = (path[:length] for length in range(len(path), 0, -1))
        return next((self.given[section] for section in sections if section in self.given), Position())


def dotted(key: KeyPath) -> str:
    """Write a path as users do: `worker_node_pools[0].labels`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
