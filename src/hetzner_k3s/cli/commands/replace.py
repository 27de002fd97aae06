"""`hetzner-k3s replace NAME`: another server under the same name, whatever the old one is like."""

from __future__ import annotations

from pathlib import Path

import click

from hetzner_k3s.cli.commands import create, plan
from hetzner_k3s.cli.commands.options import (
    color_option,
    config_option,
    consent_option,
    drain_option,
    events_option,
    load_spec,
    quiet_option,
    verbose_option,
)
from hetzner_k3s.cli.output import say
from hetzner_k3s.model.consents import Consents, DeleteLocalData, MakeAnew, Replace, Surge
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec


@click.command()
@click.argument("name", metavar="NAME")
@config_option
@click.option(DeleteLocalData.flag, "local_data", is_flag=True, help=DeleteLocalData.help)
@consent_option(Surge, "surge")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@drain_option
@verbose_option
@quiet_option
@events_option
@color_option
def replace(
    name: str,
    config: Path,
    *,
    local_data: bool,
    surge: str | None,
    dry_run: bool,
    drain_within: float,
    quiet: bool,
    as_json: bool,
) -> ExitCode:
    """Replace a master or worker by a new server of its name, drained first where it lives.

    A master's etcd member is retired after a snapshot, and only while the others keep the quorum; one that is not
    well is discarded. Cut off, `create` brings the cluster back to what the file says, and names a surge server that
    is left.
    """
    spec = load_spec(config)
    consents = _consents(spec, name, local_data=local_data, surge=surge)
    if dry_run:
        return plan.show(spec, consents, as_json=as_json, check=False)
    try:
        return create.bring_about(spec, consents, drain_within=drain_within, quiet=quiet, as_json=as_json)
    except KeyboardInterrupt:
        # The same command again would replace the one that has come meanwhile.
        say("interrupted; run `create`: it brings the cluster back to what the file says")
        return ExitCode.INTERRUPTED


def _consents(spec: ClusterSpec, name: str, *, local_data: bool, surge: str | None) -> Consents:
    """Return what is permitted: whether a master is well, and which of both it takes, is seen later."""
    whole = next((s.name for s in spec.servers() if name in {s.name, s.name.removeprefix(f"{spec.name}-")}), name)
    discard = (Replace(whole),) if whole in spec.master_names else ()
    data = (DeleteLocalData(),) if local_data else ()
    more = (Surge(surge),) if surge is not None else ()
    return Consents.of(MakeAnew(whole), *discard, *data, *more)
