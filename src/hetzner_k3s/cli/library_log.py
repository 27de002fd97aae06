"""What libraries log: without a handler, Python would write it to stderr as it is, a peer's words included."""

from __future__ import annotations

import logging

from hetzner_k3s.cli.output import say


class _Said(logging.Handler):
    """Says errors as lines of talk, and nothing below them."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"{record.name}: {record.getMessage()}")


def take_over() -> None:
    """Let the root logger say what libraries log."""
    root = logging.getLogger()
    if not any(isinstance(handler, _Said) for handler in root.handlers):
        root.addHandler(_Said(level=logging.ERROR))
