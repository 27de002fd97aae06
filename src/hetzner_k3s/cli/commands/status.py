"""`hetzner-k3s status`: how the cluster is, on stdout; what `create` would do about it, on stderr. Changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click

from hetzner_k3s import addons, decide
from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.commands.options import color_option, config_option, load_spec, verbose_option
from hetzner_k3s.cli.output import say, tell, tell_document
from hetzner_k3s.cli.render import terminal
from hetzner_k3s.cli.render.board import Board
from hetzner_k3s.cli.render.changes import Change
from hetzner_k3s.cli.render.events import ConsoleReporter
from hetzner_k3s.cli.render.status import status_document, status_lines
from hetzner_k3s.cli.watching import Show, watch
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
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write it as a page into this file too.")
@click.option("--watch", "watched", is_flag=True, help="Go on looking, and show what changes, until Ctrl-C.")
@color_option
def status(config: Path, as_json: bool, html: Path | None, watched: bool) -> ExitCode:
    """Show the cluster as Hetzner, its hosts, etcd and Kubernetes see it: servers, members, snapshots, drift.

    The exit code is 0 when it is healthy and as the file says; 3 when it is degraded (something is pending, unwell or
    drifted, and quorum is held); 4 when no quorum answers or two clusters do; 1 when Hetzner could not be listed.

    With --watch hosts are looked at every 5 s and Hetzner is asked every minute, sooner after a change. A terminal is
    drawn again at each change; elsewhere each change is a line (with --json a document). The exit code is that of what
    was seen last.
    """
    spec = load_spec(config)
    if watched:
        return _watch(spec, as_json=as_json, html=html)
    report = wiring.run(_look(spec, talk=not as_json))
    if as_json:
        tell_document(status_document(report))
    if html is not None:
        _write_page(report, html)
        say(f"{spec.name} is shown in {html}")
    return EXITS[report.health]


def _write_page(report: Report, html: Path) -> None:
    from hetzner_k3s.cli.pages.status_page import status_page

    html.write_text(status_page(report), encoding="utf-8")


def _watch(spec: ClusterSpec, *, as_json: bool, html: Path | None) -> ExitCode:
    """Watch until Ctrl-C, which is how a watch ends and no interruption of anything."""
    board = Board(as_json=as_json)

    def show(report: Report, told: Sequence[Change]) -> None:
        board.show(report, told)
        if html is not None:
            _write_page(report, html)

    try:
        wiring.run(_watching(spec, show))
    except KeyboardInterrupt:
        if board.report is None:
            raise
    return ExitCode.CONVERGED if board.report is None else EXITS[board.report.health]


async def _watching(spec: ClusterSpec, show: Show) -> None:
    async with wiring.open_session(spec) as session:
        await watch(spec, session.ports, show)


async def _look(spec: ClusterSpec, *, talk: bool) -> Report:
    async with wiring.open_session(spec) as session:
        reporter = ConsoleReporter(spec.name, quiet=not talk, now=session.ports.clock.monotonic, write=wiring.to_stderr)
        intent = Intent(verb=Verb.CREATE, addons=addons.digests(spec))
        request = RunRequest(spec=spec, intent=intent, lock_request=session.lock_request)
        state, ahead = await look_ahead(request, session.ports, reporter)
        state = replace(state, snapshots=state.snapshots or await snapshots.read(session.ports, spec))
        report = decide.report(spec, state, intent, ahead)
        if talk:
            for line in status_lines(report, terminal.columns(sys.stdout)):
                tell(line)
            reporter.shown(replace(ahead, degraded=(), differences=()))  # the report has told them
    return report
