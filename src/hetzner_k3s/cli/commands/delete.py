"""`hetzner-k3s delete`: show what is the cluster's, ask, and delete it; the only command that asks."""

from __future__ import annotations

from pathlib import Path

import click

from hetzner_k3s.cli import asking, reporting, wiring
from hetzner_k3s.cli.commands.options import (
    color_option,
    config_option,
    deletion_consent_options,
    events_option,
    load_spec,
    quiet_option,
    verbose_option,
)
from hetzner_k3s.cli.output import say
from hetzner_k3s.model.consents import Consents
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.plan import Forecast, Intent, Verb
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.reconcile import RunRequest


@click.command()
@config_option
@verbose_option
@quiet_option
@click.option(
    "--force",
    is_flag=True,
    help="Ask nothing, ignore protect_against_deletion of the file and leave the kubeconfig, as 2.x does. It does not "
    "lift Hetzner's own protection, nor take anything from servers that are not the cluster's.",
)
@click.option(
    "--confirm",
    metavar="NAME",
    help="The cluster's name, as it would be typed at the prompt: nothing is asked, and all else is as if it was.",
)
@deletion_consent_options
@events_option
@color_option
def delete(  # noqa: PLR0917  click gives them by name
    config: Path, quiet: bool, force: bool, confirm: str | None, consents: Consents, as_json: bool
) -> ExitCode:
    """Delete the cluster: its servers, load balancer, network, firewall, placement groups and SSH key.

    Volumes and load balancers that Kubernetes made stay, and are named, unless their flag is given. What goes is shown
    first, and the cluster's name is asked for. Nothing goes while any of it is protected at Hetzner, or used by servers
    that stay: all of that is named at once.
    """
    if as_json and not force and confirm is None:
        raise click.UsageError("--json shows nobody what goes, so nobody is asked: it needs --force or --confirm")
    spec = load_spec(config)
    if confirm not in (None, spec.name):
        raise click.UsageError(f"--confirm names '{confirm}', and {config} is of the cluster '{spec.name}'")
    if spec.protect_against_deletion and not force:
        say(f"refused: {config} protects the cluster: protect_against_deletion is true")
        say("you can: set it to false, or give --force")
        return ExitCode.REFUSED
    intent = Intent(verb=Verb.DELETE, keep_kubeconfig=force, unasked=force, consents=consents)
    asks = not force and confirm is None
    return wiring.run(_delete(spec, intent, asks=asks, quiet=quiet, as_json=as_json))


async def _delete(spec: ClusterSpec, intent: Intent, *, asks: bool, quiet: bool, as_json: bool) -> ExitCode:
    async def confirm(_forecast: Forecast) -> bool:
        return _name_is_typed(spec.name)

    async with wiring.open_session(spec) as session:
        request = RunRequest(
            spec=spec, intent=intent, lock_request=session.lock_request, confirm=confirm if asks else None
        )
        # Whoever is asked must have seen what for.
        return await reporting.run(request, session, quiet=quiet and not asks, as_json=as_json)


def _name_is_typed(cluster: str) -> bool:
    if asking.typed(f"Type the cluster's name ({cluster}) to delete all this") == cluster:
        return True
    say("Its name was not typed: nothing was deleted.")
    return False
