"""When all masters of a cluster in a database are lost: who holds the token that opens it, and who is first again."""

from __future__ import annotations

from hetzner_k3s.decide.view import held_tokens
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.servers.k3s import K3s
from hetzner_k3s.model.identity import Phase


def is_out(master: MasterView) -> bool:
    """Check whether nothing of a cluster can run there: no server, an empty one, or a start that was never ended."""
    return master.has_yet_to_join or master.k3s is K3s.EMPTIED


def tokens_at_hand(context: DecisionContext) -> list[tuple[str, int | None]]:
    """Return the hashes of the tokens that may open the database, with the server that holds one (None: this machine).

    Of the servers those count whose token pins the recorded CA; of one from this machine, that is seen when it is used.
    """
    recorded = context.control_plane.record.ca
    found: list[tuple[str, int | None]] = []
    for server, facts in held_tokens.on_servers(context):
        disk = facts.disk
        pins = recorded is not None and (disk.config_token_ca or "").startswith(recorded)
        if disk.config_token_hash and pins and not disk.config_token_agent:
            found.append((disk.config_token_hash, server.id))
    kept = [(held.server, None) for held in held_tokens.kept_here(context)]
    return [*((held, None) for held in context.state.local.token_hashes), *found, *kept]


def awaits_server(context: DecisionContext, name: str) -> bool:
    """Check whether a server may be ordered under this name although no API answers: the first that opens the data."""
    control_plane = context.control_plane
    if (
        not control_plane.on_database
        or control_plane.record.phase is not Phase.BORN
        or control_plane.gateway is not None
    ):
        return False
    first = min(control_plane.masters, key=lambda m: (m.server is None, m.spec.index))
    return first.name == name and bool(tokens_at_hand(context)) and all(is_out(m) for m in control_plane.all_masters)
