"""Runs the loop for a command, and tells how it ended: also when it was refused, failed or was interrupted."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace
from typing import Protocol

from hetzner_k3s.cli.exits import code_of
from hetzner_k3s.cli.output import tell_row
from hetzner_k3s.cli.render import terminal
from hetzner_k3s.cli.render.ending import Ending, Tally
from hetzner_k3s.cli.render.events import ConsoleReporter
from hetzner_k3s.cli.render.json_events import JsonReporter
from hetzner_k3s.cli.wiring import Session, to_stderr
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.plan import Forecast, Verb
from hetzner_k3s.reconcile import Confirm, Events, RunRequest, converge


class Reporter(Events, Protocol):
    """Who is told what happens, and how it ended."""

    @property
    def tally(self) -> Tally:
        """Return what was carried out so far."""
        ...

    @property
    def seconds(self) -> float:
        """Return the seconds since the run began."""
        ...

    def ended(self, ending: Ending) -> None:
        """Tell how the run ended."""
        ...

    def paused(self) -> AbstractContextManager[None]:
        """Leave the terminal to a question for the length of a block."""
        ...


@asynccontextmanager
async def _opened(request: RunRequest, session: Session, *, quiet: bool, as_json: bool) -> AsyncIterator[Reporter]:
    """Open what reports a run, for the length of a block: to a program, to a person who watches, or as lines."""
    clock, cluster = session.ports.clock, request.spec.name
    if as_json:
        yield JsonReporter(
            cluster=cluster,
            run=session.lock_request.run,
            verb=request.intent.verb,
            now=clock.now,
            monotonic=clock.monotonic,
            write=tell_row,
        )
    elif not quiet and terminal.is_terminal(sys.stderr):
        from hetzner_k3s.cli.render.live.display import LiveReporter

        coloured = terminal.is_coloured(sys.stderr)
        async with LiveReporter(request.spec, clock, sys.stderr, coloured=coloured) as live:
            yield live
    else:
        yield ConsoleReporter(cluster, quiet=quiet, now=clock.monotonic, write=to_stderr)


async def run(request: RunRequest, session: Session, *, quiet: bool, as_json: bool) -> ExitCode:
    """Run the loop to its end, and report what happens and how it ended; what it raises leaves it as it is.

    A deletion that the user does not agree to is refused, and not interrupted: nothing was begun.
    """
    async with _opened(request, session, quiet=quiet, as_json=as_json) as reporter:
        return await _run(request, session, reporter)


async def _run(request: RunRequest, session: Session, reporter: Reporter) -> ExitCode:
    if request.confirm is not None:
        request = replace(request, confirm=_undisturbed(request.confirm, reporter))
    try:
        code = await converge(request, session.ports, reporter)
        code = ExitCode.REFUSED if code is ExitCode.INTERRUPTED else code
    except asyncio.CancelledError:
        reporter.ended(_ending(request, session, reporter, ExitCode.INTERRUPTED))
        raise
    except Exception as error:
        reporter.ended(replace(_ending(request, session, reporter, code_of(error)), error=error))
        raise
    reporter.ended(_ending(request, session, reporter, code))
    return code


def _undisturbed(confirm: Confirm, reporter: Reporter) -> Confirm:
    async def ask(forecast: Forecast) -> bool:
        with reporter.paused():
            return await confirm(forecast)

    return ask


def _ending(request: RunRequest, session: Session, reporter: Reporter, code: ExitCode) -> Ending:
    spec, verb = request.spec, request.intent.verb
    done = verb is Verb.CREATE and code in {ExitCode.CONVERGED, ExitCode.PENDING} and reporter.tally.steps
    servers = session.ports.local.evidence().kubeconfig_servers if done else {}
    return Ending(
        verb=verb,
        code=code,
        tally=reporter.tally,
        seconds=reporter.seconds,
        api=servers.get(spec.name) or next(iter(servers.values()), None),
        kubeconfig=spec.kubeconfig_path,
        exported=os.environ.get("KUBECONFIG"),
    )
