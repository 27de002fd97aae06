"""Snapshots of a simulated k3s: saved on its host, copied to S3, made on a schedule, pruned, and restored.

What a restore prints and leaves behind is as recorded (docs/facts/k3s.md#restore).
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from hetzner_k3s.lab.k3s.etcd import model_data
from hetzner_k3s.lab.k3s.etcd.model_data import Snapshot as Backend
from hetzner_k3s.lab.k3s.setup.flags import Flags
from hetzner_k3s.lab.k3s.trust import bootstrap, tokens
from hetzner_k3s.lab.simulated.hosts import config_file, snapshot_files
from hetzner_k3s.lab.simulated.hosts.disk import Disk, SavedSnapshot
from hetzner_k3s.lab.simulated.hosts.refusal import failed, precondition_changed
from hetzner_k3s.lab.simulated.k3s import k3s_files
from hetzner_k3s.model.host import HostKeyKind, Snapshot
from hetzner_k3s.model.operations.configuration import ReconnectAgent
from hetzner_k3s.model.operations.operation import Done, K3sRole, Operation
from hetzner_k3s.model.operations.service import StartWithAgent, StartWithoutAgent
from hetzner_k3s.model.operations.snapshots import ReceiveSnapshot, RestoreSnapshot, SendSnapshot, TellSnapshots
from hetzner_k3s.model.snapshots import KEPT, SnapshotFile

if TYPE_CHECKING:
    from hetzner_k3s.lab.simulated.hosts.host import Host

SCHEDULED: Final = "etcd-snapshot"
DONE: Final = "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now."
_DEFAULT_RETENTION: Final = 5
_HOUR: Final = 3600.0
_RESTORE_SECONDS: Final = (4.0, 7.0)
_LEASED: Final = "/registry/masterleases/"
_NO_KEY: Final = "failed to download snapshot from S3: The specified key does not exist."
_MANAGED: Final = "Error: starting kubernetes: failed to start cluster: start managed database: "


async def cluster_restore(host: Host, flags: Flags, name: str, *, from_s3: bool) -> str:
    """Run `k3s server --cluster-reset --cluster-reset-restore-path=NAME`; gives the last line of its log.

    Without `from_s3` it is told `--etcd-s3=false`. The exit code is not modelled: it is 0 however it ended.
    """
    disk = host.disk
    password = tokens.parse(flags.text("token")).password
    agent = tokens.parse(flags.text("agent-token")).password
    k3s_files.create_authorities(disk, host.chance, password, agent, host.site.clock.now())
    await host.takes(_RESTORE_SECONDS)
    backend = _find(host, flags, name, from_s3=from_s3)
    if backend is None:
        return f'level=fatal msg="{_MANAGED}{_NO_KEY if from_s3 else f"etcd: snapshot path does not exist: {name}"}"'
    url = f"https://{host.addresses[0]}:2380"
    disk.member_name = f"{host.name}-{host.chance.token_hex(4)}"
    # Keys with a lease of 15 s are gone before anybody can read them.
    kept = replace(backend, keys=tuple(entry for entry in backend.keys if not entry.key.startswith(_LEASED)))
    disk.drive.data = model_data.restored(kept, disk.member_name, url, host.chance.token_hex(8))
    disk.reset_flag = True
    entries = {entry.key: entry.value for entry in kept.keys if entry.key.startswith(k3s_files.PREFIX)}
    try:
        stored = k3s_files.unseal(entries, password)
    except bootstrap.BootstrapError as problem:
        return f'level=error msg="Shutdown request received: \\"failed to save bootstrap data: {problem}\\""'
    k3s_files.install(disk, stored, host.site.clock.now())
    k3s_files.ensure_passwords(disk, password, agent, host.site.clock.now())
    k3s_files.write_access(disk, password, host.chance)
    return f'level=error msg="Shutdown request received: \\"{DONE}\\""'


def _find(host: Host, flags: Flags, name: str, *, from_s3: bool) -> Backend | None:
    if from_s3:
        stored = host.site.bucket.objects.get((flags.text("etcd-s3-folder"), name))
        return stored.backend if stored and not host.site.bucket.down else None
    saved = host.disk.snapshots.get(name)
    return saved.backend if saved else None


async def restore_snapshot(host: Host, operation: RestoreSnapshot, _: HostKeyKind) -> Done:
    """Do as `restore_snapshot.sh`."""
    disk = host.disk
    if not disk.restoring and disk.drive.data is not None:
        if disk.lineage is not None and disk.lineage[1] == operation.parent:
            return Done()
        raise precondition_changed("this host holds etcd data")
    _demand_file(disk, operation)
    disk.restoring = True
    if not disk.config:
        raise failed("there is no /etc/rancher/k3s/config.yaml")
    flags = config_file.flags("server", disk.config)
    if flags.text("server") or flags.on("cluster-init"):
        raise precondition_changed("config.yaml names a server to join")
    if K3sRole.SERVER in host.units:
        host.units[K3sRole.SERVER].stop()
        disk.units[K3sRole.SERVER] = False
    saved = dict(disk.snapshots)
    disk.remove_database()
    disk.server, disk.token, disk.lineage, disk.snapshots = {}, None, None, saved
    name = operation.snapshot
    if operation.sha256 is not None:
        name = f"{KEPT}{operation.snapshot.removeprefix(KEPT)}"
        disk.snapshots.setdefault(name, disk.snapshots[operation.snapshot].called(name))
    last = await cluster_restore(host, flags, name, from_s3=operation.sha256 is None)
    if DONE not in last:
        raise failed(f"k3s did not restore the snapshot: {last}")
    disk.lineage = (operation.lineage, operation.parent)
    disk.restoring = False
    return Done()


def _demand_file(disk: Disk, operation: RestoreSnapshot) -> None:
    if operation.sha256 is None:
        return
    saved = disk.snapshots.get(operation.snapshot)
    if saved is None:
        raise precondition_changed(f"this host has no snapshot {operation.snapshot}")
    if saved.sha256 != operation.sha256:
        raise precondition_changed(f"the snapshot {operation.snapshot} is not the file that was looked at")


async def start_without_agent(host: Host, _: StartWithoutAgent, __: HostKeyKind) -> Done:
    """Do as `start_without_agent.sh`."""
    disk, unit = host.disk, host.units[K3sRole.SERVER]
    if disk.held:
        raise precondition_changed("k3s is stopped and masked on this host")
    if disk.restoring:
        raise precondition_changed("half a restore lies on this host")
    if disk.drive.data is None or disk.lineage is None:
        raise precondition_changed("no restored data lies on this host")
    if not disk.agentless and unit.facts().runs:
        raise precondition_changed("k3s runs on this host, with its agent")
    disk.agentless = True
    unit.start()
    return Done()


async def start_with_agent(host: Host, _: StartWithAgent, __: HostKeyKind) -> Done:
    """Do as `start_with_agent.sh`."""
    unit = host.units[K3sRole.SERVER]
    if host.disk.agentless:
        unit.stop()
        host.disk.agentless = False
    host.disk.units[K3sRole.SERVER] = True
    unit.start()
    return Done()


async def tell_snapshots(host: Host, _: TellSnapshots, __: HostKeyKind) -> tuple[SnapshotFile, ...]:
    """Do as `tell_snapshots.sh`."""
    newest_first = sorted(host.disk.snapshots.values(), key=lambda s: -s.entry.created)
    return tuple(
        SnapshotFile(
            name=saved.entry.name,
            size=saved.entry.size,
            created=saved.entry.created,
            sha256=saved.sha256,
            cluster_uid=snapshot_files.uid_of(saved.backend),
            token_hashes=snapshot_files.tokens_of(saved.backend),
        )
        for saved in newest_first
    )


async def receive_snapshot(host: Host, operation: ReceiveSnapshot, content: bytes) -> Done:
    """Do as `receive_snapshot.sh`; `content` is its stdin."""
    disk, name = host.disk, operation.name
    if disk.drive.data is not None and not disk.restoring:
        raise precondition_changed("this host holds etcd data")
    if len(content) != operation.size or hashlib.sha256(content).hexdigest() != operation.sha256:
        raise failed("the snapshot arrived damaged")
    backend = snapshot_files.decode(content)
    if backend is None:
        raise failed("the simulation knows no snapshots but its own")
    now = host.site.clock.now()
    if (other := disk.snapshots.get(name)) is not None:
        if other.sha256 == operation.sha256:
            return Done()
        disk.snapshots[f"{name}.before-{int(now)}"] = disk.snapshots.pop(name)
    disk.snapshots[name] = SavedSnapshot(Snapshot(name=name, size=operation.size, created=now), backend)
    return Done()


async def reconnect_agent(host: Host, operation: ReconnectAgent, _: HostKeyKind) -> Done:
    """Do as `reconnect_agent.sh`."""
    if host.disk.facts().agent_servers != operation.known:
        raise precondition_changed(f"its agent knows the masters {', '.join(host.disk.agent_servers)}")
    unit = host.units.get(K3sRole.AGENT)
    if unit is None:
        raise failed("systemd: Unit not found")
    host.disk.point_to(operation.url)
    unit.stop()
    host.disk.agent_servers = []  # k3s forgets what it learned when its `server:` is another one
    host.disk.units[K3sRole.AGENT] = True
    unit.start()
    return Done()


async def send_snapshot(host: Host, operation: SendSnapshot, _: HostKeyKind) -> bytes:
    """Do as `send_snapshot.sh`."""
    saved = host.disk.snapshots.get(operation.name)
    if saved is None:
        raise failed(f"this host has no snapshot {operation.name}")
    return snapshot_files.encode(saved.backend)


HANDLERS: Mapping[type[Operation[Any]], Callable[[Host, Any, HostKeyKind], Awaitable[Any]]] = {
    RestoreSnapshot: restore_snapshot,
    ReconnectAgent: reconnect_agent,
    SendSnapshot: send_snapshot,
    StartWithAgent: start_with_agent,
    StartWithoutAgent: start_without_agent,
    TellSnapshots: tell_snapshots,
}
