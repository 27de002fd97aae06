"""The configuration file cannot be used: every finding at once."""

from __future__ import annotations

from collections.abc import Iterable

from hetzner_k3s.model.text.settings import Diagnostic


class ConfigError(Exception):
    """The file cannot be used; `diagnostics` holds every finding, warnings included, in the file's order."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Take all findings at once: a user should not have to run the program once a mistake."""
        self.diagnostics: tuple[Diagnostic, ...] = tuple(sorted(diagnostics, key=lambda found: found.position))
        super().__init__("\n".join(map(str, self.diagnostics)))
