"""`hetzner-k3s releases`: which k3s there is, by k3s' own list of channels; needs no file and no token."""

from __future__ import annotations

from collections.abc import Mapping

import click

from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.output import tell, tell_document
from hetzner_k3s.model.errors import ExitCode, ProductError
from hetzner_k3s.model.version import K3sVersion


@click.command()
@click.option("--channel", metavar="NAME", help="Print this channel's release alone: `stable`, `latest`, `v1.36`, …")
@click.option("--json", "as_json", is_flag=True, help="Print channel and release as JSON.")
def releases(channel: str | None, as_json: bool) -> ExitCode:
    """Print the newest release of each line of k3s, the oldest line first, and the channels that lead to it.

    They are read from $INSTALL_K3S_CHANNEL_URL, else from update.k3s.io, as k3s' own installer does. The exit code is 1
    where that list cannot be read.
    """
    found = wiring.run(_read())
    if channel is not None:
        if channel not in found:
            raise click.UsageError(f"k3s has no channel {channel!r}; there are {', '.join(_ordered(found))}")
        found = {channel: found[channel]}
    if as_json:
        tell_document({name: str(found[name]) for name in _ordered(found)})
    else:
        for line in [str(found[channel])] if channel is not None else _lines(found):
            tell(line)
    return ExitCode.CONVERGED


async def _read() -> Mapping[str, K3sVersion]:
    hint = "Any release of github.com/k3s-io/k3s/releases may stand in the file: `create` checks what it downloads."
    port = wiring.releases()
    if port is None:
        raise ProductError("this lab names no list of k3s' releases (INSTALL_K3S_CHANNEL_URL)", hint=hint)
    try:
        return await port.channels()
    except ProductError as failure:
        raise ProductError(str(failure), hint=hint) from None


def _ordered(found: Mapping[str, K3sVersion]) -> list[str]:
    return sorted(found, key=lambda name: (found[name], name))


def _lines(found: Mapping[str, K3sVersion]) -> list[str]:
    """Return a line a release: its tag, and the channels that lead to it."""
    names: dict[K3sVersion, list[str]] = {}
    for name in _ordered(found):
        names.setdefault(found[name], []).append(name)
    width = max((len(str(release)) for release in names), default=0)
    return [f"{release!s:<{width}}  {', '.join(channels)}" for release, channels in names.items()]
