"""`hetzner-k3s status`: how the cluster is, on stdout; what `create` would do about it, on stderr. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click

from hetzner_k3s import addons, decide
from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.commands.options import color_option, config_option, load_spec, verbose_option
from hetzner_k3s.cli.output import tell, tell_document
from hetzner_k3s.cli.render.events import ConsoleReporter
from hetzner_k3s.cli.render.status import status_document, status_lines
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.plan import Intent, Verb
from hetzner_k3s.model.report import Health, Report
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.observe import snapshots
from hetzner_k3s.reconcile import RunRequest, look_ahead

EXITS: Mapping[Health, ExitCode] = {
    Health.HEALTHY: ExitCode.CONVERGED,
    Health.DEGRADED: ExitCode.PENDING,
    Health.NO_QUORUM: ExitCode.REFUSED,
    Health.SPLIT: ExitCode.REFUSED,
    Health.UNKNOWN: ExitCode.FAILED,
}


@click.command()
@config_option
@verbose_option
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON (docs/reference/status.md).")
@color_option
def status(config: Path, as_json: bool) -> ExitCode:
    """Show the cluster as Hetzner, its hosts, etcd and Kubernetes see it: servers, members, snapshots, drift.

    The exit code is 0 when it is healthy and as the file says; 3 when it is degraded (something is pending, unwell or
    drifted, and quorum is held); 4 when no quorum answers or two clusters do; 1 when Hetzner could not be listed.
    """
    spec = load_spec(config)
    report = wiring.run(_look(spec, talk=not as_json))
    if as_json:
        tell_document(status_document(report))
    return EXITS[report.health]


async def _look(spec: ClusterSpec, *, talk: bool) -> Report:
    async with wiring.open_session(spec) as session:
        reporter = ConsoleReporter(spec.name, quiet=not talk, now=session.ports.clock.monotonic, write=wiring.to_stderr)
        intent = Intent(verb=Verb.CREATE, addons=addons.digests(spec))
        request = RunRequest(spec=spec, intent=intent, lock_request=session.lock_request)
        state, ahead = await look_ahead(request, session.ports, reporter)
        state = replace(state, snapshots=state.snapshots or await snapshots.read(session.ports, spec))
        report = decide.report(spec, state, intent, ahead)
        if talk:
            for line in status_lines(report):
                tell(line)
            reporter.shown(ahead)
    return report
