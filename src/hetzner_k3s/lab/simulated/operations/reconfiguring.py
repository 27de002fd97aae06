"""The host operation that starts a running k3s anew with another configuration, on simulated hosts."""

from __future__ import annotations

import asyncio

from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.hosts.refusal import failed, precondition_changed
from hetzner_k3s.lab.simulated.operations.etcd_gateway import etcd_of, members_of
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.operations.configuration import Reconfigure, StageK3s, TidyK3s
from hetzner_k3s.model.operations.operation import Done, K3sRole

_DOWNLOAD, _QUICK = (2.0, 7.0), (0.05, 0.2)
_CONNECTS_WITHIN = 10.0
STEADY_AFTER = 15.0
"""Seconds for which k3s has to stay up after a change."""


async def reconfigure(host: Host, operation: Reconfigure, _: HostKeyKind) -> Done:
    """Do as `reconfigure.sh`: stop, write, start."""
    if host.disk.held:
        raise precondition_changed("k3s is stopped and masked on this host by a quorum reset that has not ended")
    unit = host.units.get(operation.role)
    if unit is None:
        raise failed("systemd: Unit not loaded")
    if operation.version is not None and host.disk.staged != operation.version:
        raise precondition_changed(f"k3s {operation.version} does not lie ready on this host")
    if operation.role is K3sRole.SERVER:
        await _may_go(host, operation.members)
    unit.stop()
    host.disk.registries, host.disk.config = operation.registries.reveal(), operation.config.reveal()
    host.disk.forget_2x()
    if operation.version is not None:
        host.disk.k3s_version, host.disk.staged = operation.version, None
    host.disk.units[operation.role] = True
    unit.start()
    return Done()


async def stage_k3s(host: Host, operation: StageK3s, _: HostKeyKind) -> Done:
    """Do as `stage_k3s.sh`."""
    await host.takes(_DOWNLOAD)
    host.disk.staged = operation.version
    return Done()


async def tidy_k3s(host: Host, _: TidyK3s, __: HostKeyKind) -> Done:
    """Do as `tidy_k3s.sh`: nothing that a simulated k3s unpacks is kept."""
    await host.takes(_QUICK)
    return Done()


async def _may_go(host: Host, decided: tuple[str, ...]) -> None:
    """Hold back a server whose etcd is well, unless its peers are those that were decided on and all there soon."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + _CONNECTS_WITHIN
    while host.server is not None and host.server.etcd is not None and host.server.etcd.healthy:
        etcd = etcd_of(host)
        members = await members_of(etcd)
        if {str(member.id) for member in members} != set(decided):
            raise precondition_changed("etcd has other members than decided on")
        if any(member.learner for member in members):
            raise precondition_changed("a learner is in the cluster")
        if len(etcd.active_peers()) >= len(members) - 1:
            return
        if loop.time() >= ends:
            raise precondition_changed("not all other voters are connected")
        await asyncio.sleep(0.5)


def is_steady(host: Host, role: K3sRole) -> bool:
    """Check whether k3s is up and well and has stayed so, as `await_k3s.sh` sees it; an agent need not be active."""
    unit, server = host.units.get(role), host.server
    if unit is None or unit.process is None:
        return False
    if role is K3sRole.AGENT:
        return (unit.facts().running_for or 0.0) >= STEADY_AFTER
    well = server is not None and server.api_ready and (server.etcd is None or server.etcd.healthy)
    return well and unit.active_for >= STEADY_AFTER
