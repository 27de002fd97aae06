"""What `status --watch` writes: on a terminal the whole cluster anew at each change, elsewhere each change."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from typing import Final

import click

from hetzner_k3s.cli.output import tell, tell_row
from hetzner_k3s.cli.render import terminal
from hetzner_k3s.cli.render.changes import Change, change_line
from hetzner_k3s.cli.render.status import status_document, status_lines
from hetzner_k3s.model.report import Report

_REMEMBERED: Final = 8


class Board:
    """Shows reports as they come; `report` is the last one.

    Args:
        as_json: write each as a document, one a line.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._drawn = not as_json and terminal.is_terminal(sys.stdout)
        self._latest: deque[str] = deque(maxlen=_REMEMBERED)
        self.report: Report | None = None

    def show(self, report: Report, changes: Sequence[Change]) -> None:
        """Show a report, or what changed since the one before."""
        first, self.report = self.report is None, report
        lines = [change_line(change) for change in changes]
        self._latest.extend(lines)
        if self._as_json:
            tell_row(status_document(report))
        elif self._drawn:
            self._draw(report)
        else:
            for line in status_lines(report, terminal.columns(sys.stdout)) if first else lines:
                tell(line)

    def _draw(self, report: Report) -> None:
        click.clear()
        for line in status_lines(report, terminal.columns(sys.stdout)):
            tell(line)
        tell("")
        for line in self._latest:
            tell(line)
        tell("hosts are looked at every 5 s, Hetzner every minute or after a change; Ctrl-C ends")
