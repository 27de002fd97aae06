"""The one door to the terminal: whatever leaves is one printable line, without a secret that this process knows."""

from __future__ import annotations

import click

from hetzner_k3s.model.text.printable import printable


def tell(line: str) -> None:
    """Write a line of data to stdout."""
    click.echo(_harmless(line))


def say(line: str) -> None:
    """Write a line of talk to stderr."""
    click.echo(_harmless(line), err=True)


def tell_document(document: object) -> None:
    """Write JSON to stdout; what is not ASCII in it is escaped by JSON itself."""
    import json

    from hetzner_k3s.model.secrets import masked

    click.echo(masked(json.dumps(document, indent=2)))


def _harmless(line: str) -> str:
    from hetzner_k3s.model.secrets import masked

    return printable(masked(line))
