"""`hetzner-k3s plan`: what `create` would do, wave by wave, on stdout. Nothing is changed."""

from __future__ import annotations

from pathlib import Path

import click

from hetzner_k3s import addons, decide
from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.commands.options import color_option, config_option, consent_options, load_spec, verbose_option
from hetzner_k3s.cli.output import tell, tell_document
from hetzner_k3s.cli.render.events import ConsoleReporter
from hetzner_k3s.cli.render.plan import forecast_lines, forecast_rows
from hetzner_k3s.model.consents import Consents, Restore
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.plan import Forecast, Intent, Verb
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.reconcile import RunRequest, look_ahead


@click.command()
@config_option
@verbose_option
@consent_options
@click.option("--json", "as_json", is_flag=True, help="Print the same rows as JSON.")
@click.option("--check", is_flag=True, help="Exit with 3 when something is pending.")
@color_option
def plan(config: Path, as_json: bool, check: bool, consents: Consents) -> ExitCode:
    """Show what `create` would do, and why.

    The exit code is 4 when it would refuse; with --check it is 3 when it would do something, or names what is left
    undone (a master that only we cannot reach). That of --check is the cluster's: what this machine alone lacks, its
    kubeconfig or a registered SSH key, is shown and does not count.
    """
    return show(load_spec(config), consents, as_json=as_json, check=check)


def show(spec: ClusterSpec, consents: Consents, *, as_json: bool, check: bool) -> ExitCode:
    """Print what a run with these consents would do; see `plan` for the exit code."""
    forecast, clusters = wiring.run(look(spec, consents))
    if as_json:
        tell_document(forecast_rows(forecast))
    else:
        for line in forecast_lines(spec.name, forecast):
            tell(line)
    if check:
        forecast = clusters
    if forecast.refusals:
        return ExitCode.REFUSED
    pending = forecast.waves or forecast.waits or forecast.left_alone
    return ExitCode.PENDING if check and pending else ExitCode.CONVERGED


async def look(spec: ClusterSpec, consents: Consents) -> tuple[Forecast, Forecast]:
    """Look as `create` does, with the same patience; return its way, and the cluster's part of that."""
    async with wiring.open_session(spec, consents.get(Restore)) as session:
        reporter = ConsoleReporter(spec.name, quiet=False, now=session.ports.clock.monotonic, write=wiring.to_stderr)
        intent = Intent(verb=Verb.CREATE, addons=addons.digests(spec), consents=consents)
        request = RunRequest(spec=spec, intent=intent, lock_request=session.lock_request)
        state, forecast = await look_ahead(request, session.ports, reporter)
    return forecast, decide.pending(spec, state, intent, forecast)
