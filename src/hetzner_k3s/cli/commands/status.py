"""`hetzner-k3s status`: what is there, on stdout; what `create` would do about it, on stderr. Nothing is changed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from hetzner_k3s import addons, decide
from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.commands.options import config_option, load_spec
from hetzner_k3s.cli.render.events import Teller
from hetzner_k3s.cli.render.status import status_lines
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.plan import Intent, Verb
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.observe import observe


@click.command()
@config_option
def status(config: Path) -> ExitCode:
    """Show the cluster's servers as Hetzner, their hosts, etcd and Kubernetes see them.

    The exit code is 0 when all is as the file says, and 3 when `create` would have something to do or to refuse.
    """
    return asyncio.run(_status(load_spec(config)))


async def _status(spec: ClusterSpec) -> ExitCode:
    async with wiring.open_session(spec) as session:
        state = await observe(session.ports, spec, Verb.CREATE)
        for line in status_lines(spec, state):
            click.echo(line)
        forecast = decide.forecast(spec, state, Intent(verb=Verb.CREATE, addons=addons.digests(spec)))
        Teller(spec.name, quiet=False, now=session.ports.clock.monotonic, write=wiring.to_stderr).shown(forecast)
    pending = forecast.waves or forecast.waits or forecast.refusals
    return ExitCode.PENDING if pending else ExitCode.CONVERGED
