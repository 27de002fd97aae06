"""`hetzner-k3s kubeconfig`: the admin's way to the API, read off any healthy master. Nothing is changed there."""

from __future__ import annotations

from pathlib import Path

import click

from hetzner_k3s import decide
from hetzner_k3s.act.context import Context, HostKeyRing
from hetzner_k3s.act.handlers.kubeconfig import read_kubeconfig
from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.commands.options import (
    color_option,
    config_option,
    load_spec,
    no_healthy_master,
    quiet_option,
    verbose_option,
)
from hetzner_k3s.cli.output import say, tell, tell_secret
from hetzner_k3s.cli.render.events import ConsoleReporter
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.plan import Verb
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.steps import WriteKubeconfig
from hetzner_k3s.observe import observe

FILE, MERGE, PRINT = "file", "merge", "print"


@click.command()
@config_option
@verbose_option
@quiet_option
@click.option("--merge", is_flag=True, help="Into your own: the first of $KUBECONFIG, else ~/.kube/config.")
@click.option("--print", "shown", is_flag=True, help="To stdout, and into no file.")
@color_option
def kubeconfig(config: Path, quiet: bool, merge: bool, shown: bool) -> ExitCode:
    """Write the kubeconfig of the cluster's admin, to the path that the file names.

    The credentials come from any healthy master, over SSH to a proven host, as `create` reads them. Written
    atomically, for your eyes alone (0600); contexts of other clusters stay, and the current one too while it is
    another cluster's. Masters that are lost are left out.
    """
    if merge and shown:
        raise click.UsageError("give either --merge or --print")
    where = MERGE if merge else PRINT if shown else FILE
    return wiring.run(_kubeconfig(load_spec(config), where, quiet=quiet))


async def _kubeconfig(spec: ClusterSpec, where: str, *, quiet: bool) -> ExitCode:
    async with wiring.open_session(spec) as session:
        ports = session.ports
        reporter = ConsoleReporter(spec.name, quiet=quiet, now=ports.clock.monotonic, write=wiring.to_stderr)
        state = await observe(ports, spec, Verb.CREATE)
        step = decide.access(spec, state)
        if step is None:
            raise no_healthy_master()
        # No host is changed, so no operator lock is held and no number of one is needed.
        key_ring = HostKeyRing()
        context = Context(ports=ports, spec=spec, state=state, fence=0, key_ring=key_ring, say=reporter.say)
        text = await read_kubeconfig(step, context)
        if where == PRINT:
            tell_secret(text.reveal())
            return ExitCode.CONVERGED
        if where == MERGE:
            written = ports.local.merge_kubeconfig(text)
            path, kept = written.path, written.kept
        else:
            path, kept = spec.kubeconfig_path, ports.local.write_kubeconfig(text)
    tell(path)
    if not quiet:
        _explain(step, where, path, kept)
    return ExitCode.CONVERGED


def _explain(step: WriteKubeconfig, where: str, path: str, kept: str | None) -> None:
    if kept is not None:
        say(f"note: it holds other clusters too, which stay; as it was it lies in {kept}")
    say(f"next: kubectl --context {step.current} get nodes" if where == MERGE else f"next: export KUBECONFIG={path}")
