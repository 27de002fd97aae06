"""The host operations by which a living member leaves its cluster, on simulated hosts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.hosts.refusal import failed, precondition_changed
from hetzner_k3s.lab.simulated.operations.etcd_gateway import etcd_of, members_as_decided, members_of, remove
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.operations.members import MoveLeader, RetireMember
from hetzner_k3s.model.operations.operation import Done, K3sRole, Operation
from hetzner_k3s.model.operations.service import StopK3s

_END = 15.0
_SETTLED_WITHIN = 15.0


async def _retire_member(host: Host, operation: RetireMember, _: HostKeyKind) -> Done:
    victim = int(operation.member_id)
    members = await members_as_decided(host, operation.precondition, victim)
    if not members:
        return Done()
    if any(member.learner for member in members):
        raise precondition_changed("a learner is in the cluster")
    etcd = etcd_of(host)
    status = await etcd.status()
    if status.leader in {0, victim}:
        raise precondition_changed(f"member {victim} leads the cluster" if status.leader else "etcd has no leader")
    if status.member_id == victim:
        raise precondition_changed("a member does not remove itself")
    others = {member.id for member in members} - {victim, status.member_id}
    if not others <= set(etcd.active_peers()):
        raise precondition_changed("not all other voters are connected")
    await remove(host, victim, within=_SETTLED_WITHIN)
    return Done()


async def _move_leader(host: Host, operation: MoveLeader, _: HostKeyKind) -> Done:
    heir, etcd = int(operation.heir), etcd_of(host)
    status = await etcd.status()
    if status.leader != status.member_id:
        return Done()
    if all(member.id != heir or member.learner for member in await members_of(etcd)):
        raise precondition_changed(f"member {heir} is no voter in the list")
    if heir not in etcd.active_peers():
        raise precondition_changed(f"member {heir} is not connected")
    try:
        await etcd.move_leader(heir)
    except EtcdError as problem:
        raise failed(f"this host still leads etcd after the hand-over: {problem.message}") from problem
    return Done()


async def _stop_k3s(host: Host, operation: StopK3s, _: HostKeyKind) -> Done:
    ends = host.site.now() + _END
    while operation.role is K3sRole.SERVER and (leader := await _followed(host)) is not None:
        if host.site.now() >= ends:
            raise precondition_changed(f"its etcd follows the leader {leader}, so it is a member")
        await host.changed(1.0)
    unit = host.units.get(operation.role)
    if unit is not None:
        unit.stop()
    host.disk.units[operation.role] = False
    return Done()


async def _followed(host: Host) -> int | None:
    server = host.server
    if server is None or server.etcd is None or server.removed:
        return None
    try:
        return (await server.etcd.status()).leader or None
    except EtcdError:
        return None


HANDLERS: Mapping[type[Operation[Any]], Callable[[Host, Any, HostKeyKind], Awaitable[Any]]] = {
    RetireMember: _retire_member,
    MoveLeader: _move_leader,
    StopK3s: _stop_k3s,
}
