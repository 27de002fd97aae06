"""The runs that a cluster itself knows of, those of colleagues too, beside those that were recorded on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from hetzner_k3s import decide
from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.commands.options import load_spec, no_healthy_master
from hetzner_k3s.cli.history.runs import Run
from hetzner_k3s.cli.local_trouble import explained
from hetzner_k3s.config.diagnostics import ConfigError
from hetzner_k3s.model import lookup
from hetzner_k3s.model.errors import ProductError
from hetzner_k3s.model.hosts.contact import host_target
from hetzner_k3s.model.kubernetes.run_history import PastRun, RunHistory
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.observe import observe_masters

_WITHIN: Final = 30.0
"""Seconds for the whole of it: whoever looks back may be cut off from the cluster."""


class NotAsked(Exception):
    """The cluster could not be asked; the text says why."""


def is_there(*, simulated: bool) -> bool:
    """Check whether there is a cluster to ask: a simulated one ends with its simulation."""
    return not simulated or wiring.is_simulated()


def ask_cluster(config: Path) -> RunHistory:
    """Read a cluster's last runs through its healthy master.

    Raises:
        NotAsked: the file is of no use, or nobody answers.
    """
    try:
        return wiring.run(_ask(load_spec(config)))
    except ConfigError as error:
        raise NotAsked(str(error.diagnostics[0])) from None
    except TimeoutError:
        raise NotAsked(f"no answer within {_WITHIN:.0f} s") from None
    except Exception as error:
        known = error if isinstance(error, ProductError) else explained(error)
        if known is None:
            raise
        raise NotAsked(str(known)) from None


async def _ask(spec: ClusterSpec) -> RunHistory:
    # The session takes a cancellation for Ctrl-C, so the time-out has to end inside.
    async with wiring.open_session(spec, kept=False) as session, asyncio.timeout(_WITHIN):
        state = await observe_masters(session.ports, spec)
        number = decide.healthy_master(spec, state)
        server = next((server for server in state.view.servers if server.id == number), None)
        master = server and host_target(spec, server, lookup.internal_ips(spec, state.view))
        if not master:
            raise no_healthy_master()
        return await session.ports.kube.past_runs(master)


def with_colleagues(own: Sequence[Run], cluster: str, noted: Iterable[PastRun], *, simulated: bool) -> list[Run]:
    """Return all runs once, the newest first; of one that was recorded here more is known than the cluster noted."""
    here = {run.id for run in own}
    others = [_as_run(cluster, run, simulated=simulated) for run in noted if run.run not in here]
    return sorted([*own, *others], key=lambda run: run.began, reverse=True)


def _as_run(cluster: str, noted: PastRun, *, simulated: bool) -> Run:
    return Run(
        id=noted.run,
        path=None,
        cluster=cluster,
        command=noted.command,
        who=noted.who,
        began=noted.began,
        seconds=noted.seconds,
        code=noted.code,
        simulated=simulated,
    )
