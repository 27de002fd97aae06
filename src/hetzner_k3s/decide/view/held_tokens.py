"""Which tokens can be had when no master is left to ask: off servers, from this machine, out of what its user gave.

With the servers' token a snapshot or a database is opened. A cluster with an agent token needs that one, too: without
it k3s writes another password file and does not start a second time (docs/facts/k3s.md#agent-token).
"""

from __future__ import annotations

from collections.abc import Iterator

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.plan import Refusal
from hetzner_k3s.model.tokens import HeldTokens

Holder = int | None
"""A server's id, None for this machine."""


def on_servers(context: DecisionContext) -> Iterator[tuple[Server, HostFacts]]:
    """Walk the cluster's servers that answered; one with half a restore on it holds what is being tried."""
    for server in sorted(lookup.owned_servers(context.spec.name, context.view), key=lambda s: s.id):
        facts = context.state.facts(server.id)
        if facts is not None and not facts.restoring:
            yield server, facts


def kept_here(context: DecisionContext) -> tuple[HeldTokens, ...]:
    """Return the tokens that earlier runs kept here, the newest first; those of another CA are another cluster's."""
    recorded = context.control_plane.record.ca or ""
    return tuple(held for held in context.state.local.kept if (held.ca or "").startswith(recorded))


def agent_token(context: DecisionContext, server_hash: str) -> tuple[str, Holder] | None:
    """Find the agents' token that goes with the servers' one of this hash, and who holds it; None where there is none.

    The birth record names it. Where that does not, what was kept beside the servers' token counts, else what a server
    holds: a cluster may have got one by hand.
    """
    found = dict(reversed(list(_agent_tokens(context, server_hash))))
    wanted = context.control_plane.record.agent
    if wanted is not None:
        return (wanted, found[wanted]) if wanted in found else None
    return next(iter(_agent_tokens(context, server_hash)), None)


def agent_token_is_missing(context: DecisionContext, server_hash: str) -> bool:
    """Check whether the cluster has an agent token that nobody here holds."""
    return context.control_plane.record.agent is not None and agent_token(context, server_hash) is None


def _agent_tokens(context: DecisionContext, server_hash: str) -> Iterator[tuple[str, Holder]]:
    for given in context.state.local.agent_hashes:
        yield given, None
    for held in kept_here(context):
        if held.server == server_hash and held.agent is not None:
            yield held.agent, None
    for server, facts in on_servers(context):
        if facts.disk.config_agent_hash is not None:
            yield facts.disk.config_agent_hash, server.id
        elif facts.disk.config_token_agent and facts.disk.config_token_hash is not None:
            yield facts.disk.config_token_hash, server.id


def missing_agent_token(context: DecisionContext) -> Refusal:
    """Refuse to start on data whose agent token is not at hand, and say where to look for it."""
    return Refusal(
        code="token.agent-unknown",
        saw=f"'{context.spec.name}' has an agent token (hash {context.control_plane.record.agent}), and neither a "
        "server that answers nor this machine holds it.",
        why="k3s keeps it among its data: a master that is started without it does not start a second time.",
        you_can="Find it beside the server token: in a backup (`hetzner-k3s backup`), in the state folder of whoever "
        "ran `create` (~/.local/state/hetzner-k3s), or on any worker, in the line `token:` of "
        "/etc/rancher/k3s/config.yaml. Give a file with both tokens, one a line, in HETZNER_K3S_TOKEN_FILE.",
    )
