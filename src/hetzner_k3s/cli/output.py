"""The one door to the terminal: whatever leaves is printable, wrapped between words, and without a known secret."""

from __future__ import annotations

import sys
from typing import TextIO

import click

from hetzner_k3s.cli.render import terminal
from hetzner_k3s.cli.render.lines import coloured, wrapped
from hetzner_k3s.model.text.printable import printable


def tell(line: str) -> None:
    """Write a line of data to stdout."""
    _write(line, sys.stdout)


def say(line: str) -> None:
    """Write a line of talk to stderr."""
    _write(line, sys.stderr)


def tell_document(document: object) -> None:
    """Write JSON to stdout; what is not ASCII in it is escaped by JSON itself."""
    _tell_json(document, indent=2)


def tell_row(row: object) -> None:
    """Write JSON to stdout as one line, which whoever reads it gets at once."""
    _tell_json(row, indent=None)


def tell_unwrapped(line: str, *, prefix: str = "", error: bool = False) -> None:
    """Write a line of a host's to stdout or stderr: its columns stay, whatever the terminal's width."""
    click.echo(f"{prefix}{harmless(line.expandtabs())}", err=error, color=terminal.is_coloured(_stream(error)))


def hand_through(piece: bytes, *, error: bool = False) -> None:
    """Write what a host's command printed, for the one who ran it, to a pipe or a file: byte by byte."""
    click.echo(piece, nl=False, err=error)


def _stream(error: bool) -> TextIO:
    return sys.stderr if error else sys.stdout


def tell_secret(text: str) -> None:
    """Write a text to stdout as it is, unmasked: for the one who asked for that very secret."""
    click.echo(text, nl=False)


def harmless(line: str) -> str:
    """Return a line without what a terminal obeys, and without a secret that this process knows."""
    from hetzner_k3s.model.secrets import masked

    return printable(masked(line))


def _tell_json(document: object, indent: int | None) -> None:
    import json

    from hetzner_k3s.model.secrets import masked

    click.echo(masked(json.dumps(document, indent=indent)))


def _write(line: str, stream: TextIO) -> None:
    first, *others = wrapped(harmless(line), terminal.columns(stream))
    colour = terminal.is_coloured(stream)
    click.echo("\n".join([coloured(first) if colour else first, *others]), file=stream, color=colour)
