"""Host operations that lead a former member back: each does what its script in `hosts/scripts` does."""

from __future__ import annotations

from hetzner_k3s.lab.k3s.etcd.port import EtcdError, Member
from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.hosts.refusal import failed, precondition_changed
from hetzner_k3s.lab.simulated.k3s.supervisor import SupervisorClient
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.operations.members import WipeJoiner
from hetzner_k3s.model.operations.operation import Done, K3sRole

_STOPS = (0.5, 3.0)


async def wipe_joiner(host: Host, operation: WipeJoiner, _: HostKeyKind) -> Done:
    """Put the data of a member aside that the cluster does not list."""
    server = host.server
    if server is not None and server.etcd is not None and server.etcd.healthy:
        raise precondition_changed("its etcd is healthy")
    members = await _ask_cluster(host, operation.server_url)
    if any(f"https://{operation.address}:2380" in member.peer_urls for member in members):
        raise precondition_changed(f"the cluster lists a member at {operation.address}")
    if any(member.name == host.disk.member_name for member in members):
        raise precondition_changed(f"the cluster lists the member {host.disk.member_name}")
    unit = host.units.get(K3sRole.SERVER)
    if unit is not None:
        await host.takes(_STOPS)
        unit.stop()
    snapshots = dict(host.disk.snapshots)
    host.disk.remove_database()
    host.disk.server.clear()
    host.disk.token = None
    host.disk.snapshots.update(snapshots)
    return Done()


async def _ask_cluster(host: Host, url: str) -> tuple[Member, ...]:
    password = tokens.parse(host.disk.token or "").password if host.disk.token else ""
    try:
        return await SupervisorClient(host.site, host, url, password).members()
    except EtcdError as problem:
        raise failed(f"the cluster at {url} did not give its members: {problem.message}") from problem
