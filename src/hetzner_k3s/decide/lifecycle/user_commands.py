"""The commands and packages of the file: those after k3s are waited for, and what failed on a host is told.

They are the user's own, so a failure stops nothing and is not tried again; but the file asks for more than there is.
"""

from __future__ import annotations

from collections.abc import Iterator

from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import Wait

PATIENCE = 300.0
"""Seconds given to the commands after k3s, from the registration of the Node on."""

PUT_RIGHT = "/var/lib/hetzner-k3s/commands/put-right"


def await_commands(context: ServingContext) -> Proposal | None:
    """Wait for the commands of servers that joined a short while ago."""
    waiting = [name for name, facts in _joined(context) if facts.commands_wait and _is_young(context, name)]
    if not waiting:
        return None
    wait = Wait(
        what=f"additional_post_k3s_commands on {', '.join(waiting)}",
        because="they run on the host when k3s was started",
        deadline=PATIENCE,
        tolerated=True,
    )
    return Proposal(waits=(wait,))


def failed(context: DecisionContext) -> tuple[str, ...]:
    """Return a sentence for each command or package that failed on a host of the file, or has not ended."""
    return tuple(
        sentence
        for name, facts in _joined(context)
        for sentence in (*_failures(name, facts), *(_unended(name) if facts.commands_wait else ()))
    )


def _failures(name: str, facts: HostFacts) -> Iterator[str]:
    for what in facts.failed_commands:
        yield (
            f"{name}: {what.rstrip('.')}. Its logs are /var/lib/hetzner-k3s/commands/*.log and "
            f"/var/log/cloud-init-output.log there; when it is put right: `touch {PUT_RIGHT}` there"
        )


def _unended(name: str) -> Iterator[str]:
    yield (
        f"{name}: additional_post_k3s_commands have not ended yet: `systemctl status hetzner-k3s-after-k3s` there "
        "tells what they do"
    )


def _joined(context: DecisionContext) -> Iterator[tuple[str, HostFacts]]:
    """Return the servers of the file that have a Node, with what their hosts told."""
    born = context.control_plane.record.phase is Phase.BORN
    for spec in context.spec.servers() if born else ():
        server, node = context.server(spec.name), context.node(spec.name)
        facts = context.state.facts(server.id) if server is not None else None
        if facts is not None and node is not None:
            yield spec.name, facts


def _is_young(context: ServingContext, name: str) -> bool:
    """Check how long a Node has been there by a master's clock: this machine's may be another one."""
    node = context.node(name)
    return node is not None and node.created is not None and context.gateway.facts.clock - node.created < PATIENCE
