"""What is wrong with a configuration file, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["error", "warning"]

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
        """Give the line, from 1; 0 is the file as a whole."""
        return self.position.line

    @property
    def column(self) -> int:
        """Give the column, from 1; 0 is the file as a whole."""
        return self.position.column

    def __str__(self) -> str:
        """Give the line a user reads: `cluster.yaml:6:3: masters_pool.locatoin: unknown key`."""
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        key = self.key if len(self.key) <= _LONGEST_KEY else f"{self.key[:_LONGEST_KEY]}…"
        return ": ".join(filter(None, (place, "warning" if self.severity == "warning" else "", key, self.message)))


class ConfigError(Exception):
    """The file cannot be used; `diagnostics` holds every finding, warnings included, in the file's order."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Take all findings at once: a user should not have to run the program once a mistake."""
        self.diagnostics: tuple[Diagnostic, ...] = tuple(sorted(diagnostics, key=lambda found: found.position))
        super().__init__("\n".join(map(str, self.diagnostics)))
