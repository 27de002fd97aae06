"""`hetzner-k3s create`: make the cluster, or bring back whatever was lost. It never asks and never reads stdin."""

from __future__ import annotations

from pathlib import Path

import click

from hetzner_k3s import addons
from hetzner_k3s.cli import reporting, wiring
from hetzner_k3s.cli.commands.options import (
    color_option,
    config_option,
    consent_options,
    drain_option,
    events_option,
    load_spec,
    quiet_option,
    verbose_option,
)
from hetzner_k3s.cli.exits import code_of
from hetzner_k3s.model.consents import Consents, Prune, Restore
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.plan import Intent, Verb
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.reconcile import RunRequest

_HELP = f"""Make the cluster that the file describes, or bring it back to that.

Running it again is always safe: a healthy cluster is left alone, an unfinished run is gone on with, a lost master
or worker is replaced. What cannot be done safely is refused, with exit code 4 and the reason; what
only you can decide has a flag of its own, which the refusal names. What exists beyond the file is named and left
alone, unless {Prune()} is given. The exit code is 3 when all else is done and a master was left alone because only
the way to it is broken: its peers say that it is well.
"""


@click.command(help=_HELP)
@config_option
@drain_option
@verbose_option
@quiet_option
@consent_options
@events_option
@color_option
def create(config: Path, drain_within: float, quiet: bool, as_json: bool, consents: Consents) -> ExitCode:
    """Make the cluster that the file describes, or bring it back to that."""
    return bring_about(load_spec(config), consents, drain_within=drain_within, quiet=quiet, as_json=as_json)


def bring_about(spec: ClusterSpec, consents: Consents, *, drain_within: float, quiet: bool, as_json: bool) -> ExitCode:
    """Run the loop for a wish and what was permitted, to its end; `drain_within` are seconds."""

    async def run() -> ExitCode:
        async with wiring.open_session(spec, consents.get(Restore)) as session:
            intent = Intent(verb=Verb.CREATE, addons=addons.digests(spec), consents=consents, drain_within=drain_within)
            request = RunRequest(
                spec=spec,
                intent=intent,
                lock_request=session.lock_request,
                command=session.command,
                code_of=code_of,
            )
            return await reporting.run(request, session, quiet=quiet, as_json=as_json)

    wiring.demand_places(spec)
    return wiring.run(run())
