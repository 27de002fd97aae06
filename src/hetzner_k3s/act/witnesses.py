"""What all masters that serve say of etcd's members: a change has happened when each of them tells of it."""

from __future__ import annotations

from collections.abc import Callable

from hetzner_k3s.act.context import Context
from hetzner_k3s.act.waiting import together, until
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.host import Member
from hetzner_k3s.model.operations.members import ReadMembers

Members = tuple[Member, ...]

_AGREE_WITHIN = 60.0
_POLL = 0.5


def others(context: Context, server_id: int) -> list[Server]:
    """Return the masters that serve as voters, but for the one that is spoken of."""
    masters = lookup.owned_masters(context.spec.name, context.state.view)
    seen = ((s, context.state.facts(s.id)) for s in masters if s.id != server_id)
    return [server for server, facts in seen if facts is not None and facts.etcd.serving_voter]


async def agree(context: Context, witnesses: list[Server], holds: Callable[[Members], bool], what: str) -> None:
    """Wait until something holds of every witness's member list; `what` begins the words said when it never does."""

    async def look() -> bool | None:
        return all(holds(members) for members in await together(*(_members(context, w) for w in witnesses))) or None

    told = f"{what} in the member list of {', '.join(w.name for w in witnesses)}"
    await until(context.ports.clock, look, what=told, within=_AGREE_WITHIN, every=_POLL)


async def _members(context: Context, master: Server) -> Members:
    return await context.ports.hosts.perform(context.target_of(master), ReadMembers())
