"""`hetzner-k3s backup`: everything that brings the cluster back elsewhere, in one folder for its owner alone."""

from __future__ import annotations

from pathlib import Path

import click

from hetzner_k3s import decide
from hetzner_k3s.act import lock
from hetzner_k3s.act.backup import write_backup
from hetzner_k3s.act.context import Context, HostKeyRing
from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.commands.options import (
    color_option,
    config_option,
    load_spec,
    no_healthy_master,
    quiet_option,
    verbose_option,
)
from hetzner_k3s.cli.output import tell
from hetzner_k3s.cli.render.events import ConsoleReporter
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.plan import Verb
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.observe import observe


@click.command()
@config_option
@verbose_option
@quiet_option
@click.option(
    "--to",
    "folder",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write, which must not be there yet.",
)
@color_option
def backup(config: Path, quiet: bool, folder: Path) -> ExitCode:
    """Save a snapshot, and copy it with configuration, kubeconfig, token and identity into a folder (0700).

    Whoever has that folder has the cluster: keep it where you keep passwords. To restore a snapshot from S3 without a
    worker that holds the token, give its file in HETZNER_K3S_TOKEN_FILE.
    """
    spec = load_spec(config)
    if folder.exists():
        raise click.UsageError(f"{folder} is there already; give another folder")
    return wiring.run(_backup(spec, Secret(config.read_text(encoding="utf-8")), folder, quiet))


async def _backup(spec: ClusterSpec, text: Secret, folder: Path, quiet: bool) -> ExitCode:
    async with wiring.open_session(spec) as session:
        reporter = ConsoleReporter(spec.name, quiet=quiet, now=session.ports.clock.monotonic, write=wiring.to_stderr)
        async with lock.held(session.ports, session.lock_request, reporter.say) as held:
            state = await observe(session.ports, spec, Verb.CREATE)
            via = decide.healthy_master(spec, state)
            if via is None:
                raise no_healthy_master()
            context = Context(
                ports=session.ports,
                spec=spec,
                state=state,
                fence=held.fence,
                key_ring=HostKeyRing(),
                say=reporter.say,
            )
            with wiring.new_bundle(folder) as bundle:
                await write_backup(context, via, text, bundle)
    tell(str(folder))
    return ExitCode.CONVERGED
