"""`k3s server --cluster-reset` on a simulated host, and the operations around it: hold, read the log, fence, reset.

What it prints and leaves behind is as recorded: exit code 0 on failure too, and a success line on a host without data
(docs/facts/k3s.md#reset).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hetzner_k3s.lab.k3s.etcd import model_data
from hetzner_k3s.lab.k3s.trust import bootstrap, tokens
from hetzner_k3s.lab.simulated.hosts import config_file
from hetzner_k3s.lab.simulated.hosts.disk import Fenced
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.hosts.refusal import failed, precondition_changed
from hetzner_k3s.lab.simulated.k3s import k3s_files
from hetzner_k3s.lab.simulated.operations import host_facts
from hetzner_k3s.model.host import HostKeyKind, LogPosition
from hetzner_k3s.model.operations.disaster import (
    FenceMember,
    FetchDatabase,
    HoldK3s,
    ReadLog,
    ReadStoredUid,
    ResetCluster,
)
from hetzner_k3s.model.operations.operation import Done, K3sRole, Operation

DONE = "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now."
_RESET_SECONDS = (12.0, 21.0)
_STOP_SECONDS = (0.2, 2.0)
_REPORTED_AS_RESET = 0.5
"""How often a reset of a host without data prints the success line."""


async def cluster_reset(host: Host) -> str:
    """Run it; gives the last line of its log. The exit code is not modelled: it is 0 however it ended."""
    disk = host.disk
    if disk.reset_flag:
        return 'level=fatal msg="Error: Managed etcd cluster membership was reset, remove reset-flag"'
    await host.takes(_RESET_SECONDS)
    if disk.drive.data is None:
        return _reset_nothing(host)
    password = tokens.parse(str(config_file.read(disk.config or "").get("token") or disk.token or "")).password
    entries = {k: e.value for k, e in disk.drive.data.keys.items() if k.startswith(k3s_files.PREFIX)}
    disk.reset_flag = True
    try:
        stored = k3s_files.unseal(entries, password)
    except bootstrap.BootstrapError as problem:
        return f'level=error msg="Shutdown request received: \\"failed to save bootstrap data: {problem}\\""'
    k3s_files.install(disk, stored, host.site.clock.now())
    disk.member_name = f"{host.name}-{host.chance.token_hex(4)}"
    model_data.forget_others(disk.drive.data, disk.member_name)
    return f'level=error msg="Shutdown request received: \\"{DONE}\\""'


def _reset_nothing(host: Host) -> str:
    """Make an empty cluster out of nothing, and perhaps call that a reset."""
    name = f"{host.name}-{host.chance.token_hex(4)}"
    host.disk.drive.data = model_data.first(name, f"https://{host.addresses[0]}:2380")
    host.disk.member_name, host.disk.reset_flag = name, True
    if host.chance.uniform(0, 1) < _REPORTED_AS_RESET:
        return f'level=error msg="Shutdown request received: \\"{DONE}\\""'
    return 'level=fatal msg="no bootstrap data found in datastore"'


def _demand_held(host: Host) -> None:
    if not host.disk.held:
        raise precondition_changed("k3s is not stopped and masked on this host")
    if host.units.get(K3sRole.SERVER) and host.units[K3sRole.SERVER].facts().active not in {"inactive", "failed"}:
        raise precondition_changed("k3s runs on this host")


def _demand_ca(host: Host, ca: str) -> None:
    found = host.disk.facts().server_ca
    if found != ca:
        raise precondition_changed(f"its disk holds CA {found or 'none'}, not {ca}")


async def hold_k3s(host: Host, operation: HoldK3s, _: HostKeyKind) -> Done:
    """Do as `hold_k3s.sh`."""
    _demand_ca(host, operation.precondition.ca)
    if not host.disk.held:
        await _demand_leader(host, operation)
    host.disk.held = True
    if K3sRole.SERVER in host.units:
        host.units[K3sRole.SERVER].stop()
        host.disk.units[K3sRole.SERVER] = False
    await host.takes(_STOP_SECONDS)
    return Done()


async def _demand_leader(host: Host, operation: HoldK3s) -> None:
    watched_until = host.site.clock.now() + operation.watched
    while True:
        leader = host_facts.etcd_facts(host).leader
        if leader != operation.precondition.leader:
            raise precondition_changed(
                f"the leader that its etcd follows is {leader or '-'}, not {operation.precondition.leader}"
            )
        if host.site.clock.now() >= watched_until:
            return
        await host.takes((0.5, 0.5))


async def read_log(host: Host, _: ReadLog, __: HostKeyKind) -> LogPosition | None:
    """Do as `read_log.sh` and its reader."""
    if not host.disk.held:
        raise precondition_changed("k3s is not stopped and masked on this host, so its log may still grow")
    data = host.disk.drive.data
    return LogPosition(*data.position) if data is not None and not host.disk.log_damaged else None


async def read_stored_uid(host: Host, _: ReadStoredUid, __: HostKeyKind) -> str | None:
    """Do as `read_stored_uid.sh`."""
    if not host.disk.held:
        raise precondition_changed("k3s is not stopped and masked on this host, so its data may still change")
    return host_facts.uid_in(host.disk.drive.data) if host.disk.drive.data is not None else None


async def fetch_database(host: Host, _: FetchDatabase, __: HostKeyKind) -> bytes:
    """Do as `fetch_database.sh`; the archive is a JSON document here."""
    _demand_held(host)
    data = host.disk.drive.data
    if data is None and not host.disk.server:
        raise failed("this host holds no data")
    keys: Mapping[str, str] = {k: e.value.decode("latin-1") for k, e in data.keys.items()} if data else {}
    await host.takes((0.5, 3.0))
    return json.dumps({"keys": keys, "token": host.disk.token, "files": sorted(host.disk.server)}).encode()


async def fence_member(host: Host, operation: FenceMember, _: HostKeyKind) -> Done:
    """Do as `fence_member.sh`."""
    _demand_held(host)
    disk = host.disk
    if disk.facts().server_ca is not None:
        _demand_ca(host, operation.ca)
    if disk.drive.data is not None or disk.server:
        disk.fenced.append(Fenced(disk.drive.data, dict(disk.server), disk.token))
    disk.remove_database()
    disk.server, disk.token, disk.agent_ca, disk.lineage = {}, None, None, None
    disk.held = False
    return Done()


def _was_done(host: Host, operation: ResetCluster) -> bool:
    """Check whether a run that was killed came so far."""
    noted = host.disk.lineage
    return noted is not None and noted == host.disk.reset_done and noted[1] == operation.parent


async def reset_cluster(host: Host, operation: ResetCluster, _: HostKeyKind) -> Done:
    """Do as `reset_cluster.sh`."""
    disk = host.disk
    if not disk.held and _was_done(host, operation):
        return Done()
    _demand_held(host)
    if disk.drive.data is None:
        raise precondition_changed("this host holds no etcd data; a reset would make an empty cluster")
    if disk.tombstone:
        raise precondition_changed("etcd on this host was removed from its cluster")
    _demand_ca(host, operation.ca)
    if not _was_done(host, operation):
        disk.lineage = (operation.lineage, operation.parent)
        lines = (disk.config or "").splitlines()
        disk.config = "\n".join(line for line in lines if not line.startswith(("server:", "cluster-init:"))) + "\n"
        disk.reset_flag = False
        last = await cluster_reset(host)
        if DONE not in last:
            raise failed(f"k3s did not reset the cluster: {last}")
        disk.reset_done = disk.lineage
    disk.held = False
    disk.units[K3sRole.SERVER] = True
    host.units[K3sRole.SERVER].start()
    return Done()


HANDLERS: Mapping[type[Operation[Any]], Callable[[Host, Any, HostKeyKind], Awaitable[Any]]] = {
    HoldK3s: hold_k3s,
    ReadLog: read_log,
    ReadStoredUid: read_stored_uid,
    FetchDatabase: fetch_database,
    FenceMember: fence_member,
    ResetCluster: reset_cluster,
}
