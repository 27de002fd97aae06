"""Questions to whoever sits at the terminal."""

from __future__ import annotations

import signal
import sys

import click

from hetzner_k3s.cli.render import terminal


def can_ask() -> bool:
    """Check whether somebody sits there."""
    return terminal.is_tty(sys.stdin)


def typed(question: str, default: str | None = None) -> str:
    """Return what is typed; nothing where that is Ctrl-C or Ctrl-D. Without a default an empty line is asked again."""
    # While an event loop runs, asyncio only notes a Ctrl-C, and the prompt would go on waiting.
    noted = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return str(click.prompt(question, default=default, show_default=False, err=True))
    except click.Abort:
        return ""
    finally:
        signal.signal(signal.SIGINT, noted)
