"""`hetzner-k3s snapshots`: which snapshots of the datastore there are, and where. Nothing is changed."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.commands.options import color_option, config_option, load_spec, verbose_option
from hetzner_k3s.cli.output import tell, tell_document
from hetzner_k3s.cli.render import terminal
from hetzner_k3s.cli.render.snapshots import snapshot_json, snapshot_lines
from hetzner_k3s.model.consents import Restore
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.facts import Unknown
from hetzner_k3s.model.plan import Verb
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.observe import observe
from hetzner_k3s.observe.snapshots import read

_HELP = f"""Show the snapshots in S3 and on the masters: age, size, and whether they are this cluster's.

A snapshot can be restored with `create {Restore("NAME")}` when all masters are lost, a backup or a file of this
machine with `create {Restore("PATH")}`. The exit code is 3 when S3 did not answer.
"""


@click.command(help=_HELP)
@config_option
@verbose_option
@click.option("--json", "as_json", is_flag=True, help="Print the same rows as JSON.")
@click.option(
    "--from",
    "path",
    type=click.Path(path_type=Path, exists=True),
    help="Show this backup, or snapshot file, of this machine too.",
)
@color_option
def snapshots(config: Path, as_json: bool, path: Path | None) -> ExitCode:
    """Show the snapshots in S3 and on the masters: age, size, and whether they are this cluster's."""
    spec = load_spec(config)
    state = wiring.run(_look(spec, Restore(str(path.absolute())) if path else None))
    if as_json:
        tell_document(snapshot_json(spec, state))
    else:
        for line in snapshot_lines(spec, state, terminal.columns(sys.stdout)):
            tell(line)
    return ExitCode.PENDING if isinstance(state.snapshots, Unknown) else ExitCode.CONVERGED


async def _look(spec: ClusterSpec, given: Restore | None) -> ClusterState:
    async with wiring.open_session(spec, given) as session:
        state = await observe(session.ports, spec, Verb.CREATE)
        return replace(state, snapshots=state.snapshots or await read(session.ports, spec))
