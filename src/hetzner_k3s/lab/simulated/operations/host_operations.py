"""The table of host operations, and those that begin, watch and keep a host of k3s."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated.hosts import config_file, host_keys
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.hosts.refusal import failed, precondition_changed
from hetzner_k3s.lab.simulated.k3s import saving
from hetzner_k3s.lab.simulated.operations import host_facts, reconfiguring, rejoining, reset, retirement, snapshots
from hetzner_k3s.lab.simulated.operations.etcd_gateway import etcd_of, members_as_decided, members_of, remove
from hetzner_k3s.lab.simulated.operations.token_operations import set_token, write_ca_pin
from hetzner_k3s.model.host import HostFacts, HostKeyKind, Snapshot
from hetzner_k3s.model.hosts.origin import Origin, ReadOrigin
from hetzner_k3s.model.operations.configuration import (
    Install,
    PointToServer,
    Reconfigure,
    RotateHostKey,
    SetToken,
    StageK3s,
    TidyK3s,
    WriteCaPin,
    WriteConfig,
)
from hetzner_k3s.model.operations.looks import Probe, ReadJournal, ReadSecret, SecretKind
from hetzner_k3s.model.operations.members import PromoteLearner, ReadMembers, RemoveMember, WipeJoiner
from hetzner_k3s.model.operations.operation import Done, K3sRole, Operation
from hetzner_k3s.model.operations.service import AwaitK3s, Milestone, RestartBirth, StartK3s
from hetzner_k3s.model.operations.snapshots import SaveSnapshot
from hetzner_k3s.model.secrets import Secret

_FATAL = re.compile(
    "duplicate node name found|: not authorized|token CA hash does not match|critical configuration value mismatch|"
    "encrypted with different token|newer than datastore|hetzner-k3s start guard|"
    "failed to read consistent index|no bootstrap data found in datastore"
)
_COMPLAINT = re.compile("level=(warning|error|fatal)|rejected")
_ANYTHING = re.compile("")
_RESTARTS = 6
_NOT_AUTHORIZED = (
    "k3s runs with another token than server/token holds, as after `k3s token rotate`: restart k3s here, or save it "
    "through another master"
)
_QUICK = (0.05, 0.2)
_DOWNLOAD_WITHIN = 280.0
_SNAPSHOT_WITHIN = 100.0

Handler = Callable[[Host, Any, HostKeyKind], Awaitable[Any]]


async def carry_out(host: Host, operation: Operation[Any], key: HostKeyKind) -> Any:
    """Carry out an operation on a host that answered with this key.

    Raises:
        OperationRefused: as the script would print.
    """
    await asyncio.sleep(host.ssh.lag)
    await host.takes(_QUICK)
    return await HANDLERS[type(operation)](host, operation, key)


async def _probe(host: Host, _: Probe, key: HostKeyKind) -> HostFacts:
    return host_facts.look(host, key)


async def _rotate_host_key(host: Host, operation: RotateHostKey, _: HostKeyKind) -> Done:
    host.disk.host_key = host_keys.label_of(operation.public_key)
    await host.takes(_QUICK)
    return Done()


async def _install(host: Host, operation: Install, _: HostKeyKind) -> Done:
    host.disk.units.setdefault(operation.role, False)
    host.disk.unit_arguments = ()  # the unit of 2.x is written over
    host.install_unit(operation.role)
    host.disk.registries = operation.registries
    ends = host.site.now() + _DOWNLOAD_WITHIN
    while host.disk.k3s_version is None and host.site.now() < ends:
        await host.changed(ends - host.site.now())
    host.disk.k3s_version = operation.version
    return Done()


async def _write_config(host: Host, operation: WriteConfig, _: HostKeyKind) -> Done:
    host.disk.forget_environment()
    host.disk.config = operation.config.reveal()
    host.disk.agentless = False
    return Done()


async def _point_to_server(host: Host, operation: PointToServer, _: HostKeyKind) -> Done:
    host.disk.point_to(operation.url)
    return Done()


async def _start_k3s(host: Host, operation: StartK3s, _: HostKeyKind) -> Done:
    unit = host.units.get(operation.role)
    if unit is None:
        raise failed("systemd: Unit not found")
    if host.disk.held:
        raise precondition_changed("k3s is stopped and masked on this host by a quorum reset that has not ended")
    if not unit.running:
        if operation.birth:
            if not host.disk.facts().empty:
                raise precondition_changed("this host holds data of a cluster, so none is initialized here")
            host.permit = True
        unit.start()
    host.disk.units[operation.role] = True
    return Done()


async def _restart_birth(host: Host, _: RestartBirth, __: HostKeyKind) -> Done:
    unit = host.units[K3sRole.SERVER]
    flags = config_file.flags("server", host.disk.config)
    while unit.running and unit.facts().active != "active":
        await host.changed(0.2)
    if unit.running or host.disk.held or host.disk.snapshots or flags.text("server"):
        raise precondition_changed("k3s runs here, or this host is another's")
    if host_facts.birth_cut_off(host) is None:
        raise precondition_changed("k3s did not end here because its first start was cut off")
    unit.stop()
    host.disk.remove_database()
    host.permit = True
    unit.start()
    host.disk.units[K3sRole.SERVER] = True
    return Done()


async def _await_k3s(host: Host, operation: AwaitK3s, key: HostKeyKind) -> HostFacts:
    began = host.site.now()
    ends = began + operation.deadline
    before = host.units[operation.role].facts().restarts if operation.role in host.units else 0
    while not _reached(host, operation):
        unit = host.units.get(operation.role)
        if unit is None or unit.facts().sub in {"auto-restart", "failed", "dead"}:
            why = _last_line(host, operation.role, _FATAL, began)
            if why:
                raise failed(f"{operation.role.value} cannot start: {why}")
            if unit is not None and unit.facts().restarts - before >= _RESTARTS:
                words = _last_line(host, operation.role, _ANYTHING, began)
                raise failed(f"{operation.role.value} ends at each start: {words}")
        if host.site.now() >= ends:
            complaint = _last_line(host, operation.role, _COMPLAINT, began)
            raise failed(f"not {operation.milestone.value} after {operation.deadline:.0f} s; last: {complaint}")
        await _something(host, ends)
    return host_facts.look(host, key)


async def _something(host: Host, ends: float) -> None:
    """Wait for a change on the host or in etcd, but look now and then: systemd's own changes tell nobody."""
    await host.changed(min(1.0, max(0.01, ends - host.site.now())))


def _reached(host: Host, operation: AwaitK3s) -> bool:
    unit = host.units.get(operation.role)
    etcd = host.server.etcd if host.server else None
    match operation.milestone:
        case Milestone.ACTIVE:
            return unit is not None and unit.facts().active == "active"
        case Milestone.DATASTORE:
            return host.disk.token is not None and etcd is not None and etcd.healthy
        case Milestone.IDENTITY:
            by_etcd = etcd is not None and etcd.healthy and host_facts.etcd_facts(host).uid is not None
            return by_etcd or host_facts.look(host, HostKeyKind.FINAL).uid is not None
        case Milestone.STEADY:
            return reconfiguring.is_steady(host, operation.role)


def _last_line(host: Host, role: K3sRole, pattern: re.Pattern[str], since: float) -> str:
    lines = (line.text for line in reversed(host.journal) if line.role is role and line.at >= since)
    return next((text for text in lines if pattern.search(text)), "")


async def _read_members(host: Host, _: ReadMembers, __: HostKeyKind) -> Any:
    return host_facts.member_list(await members_of(etcd_of(host)))


async def _remove_member(host: Host, operation: RemoveMember, _: HostKeyKind) -> Done:
    victim = int(operation.member_id)
    members = await members_as_decided(host, operation.precondition, victim)
    if not members:
        return Done()
    if any(member.learner and member.id != victim for member in members):
        raise precondition_changed("a learner is in the cluster")
    etcd = etcd_of(host)
    leader = (await etcd.status()).leader
    if not leader:
        raise precondition_changed("etcd has no leader")
    if leader == victim or victim in etcd.active_peers():
        raise precondition_changed(f"member {victim} is alive, so it is not dead")
    await remove(host, victim)
    return Done()


async def _promote_learner(host: Host, operation: PromoteLearner, _: HostKeyKind) -> Done:
    ends = host.site.now() + operation.deadline
    url = f"https://{operation.peer_address}:2380"
    seen = "it is not in the member list"
    while host.site.now() < ends:
        try:
            found = next((m for m in await etcd_of(host).members() if url in m.peer_urls), None)
            if found is not None and not found.learner:
                return Done()
            if found is not None:
                await etcd_of(host).promote(found.id)
                return Done()
        except EtcdError as problem:
            seen = problem.message
        await asyncio.wait([host.site.peers.changed()], timeout=min(1.0, max(0.05, ends - host.site.now())))
    raise failed(f"the member at {operation.peer_address} is no voter after {operation.deadline:.0f} s: {seen}")


async def _save_snapshot(host: Host, operation: SaveSnapshot, _: HostKeyKind) -> Snapshot:
    server = host.server
    if server is None or not server.api_ready:
        raise failed("k3s did not save the snapshot: runtime core not ready")
    if server.passwords["server"][0] != tokens.parse(host.disk.token or "").password:
        raise failed(_NOT_AUTHORIZED)
    try:
        async with asyncio.timeout(_SNAPSHOT_WITHIN):
            await server.member().members()
    except (EtcdError, TimeoutError) as problem:
        raise failed(f"k3s did not save the snapshot: {problem}") from problem
    await host.takes((0.3, 0.9))
    if host.server is not server or not server.api_ready:
        raise failed("k3s did not save the snapshot: connection refused")
    flags = config_file.flags("server", host.disk.config, arguments=host.disk.unit_arguments)
    return saving.save(server, flags, operation.name)


async def _read_origin(host: Host, _: ReadOrigin, __: HostKeyKind) -> Origin:
    unit = host.units.get(K3sRole.SERVER)
    return Origin(
        flag=host.disk.unit_flag,
        bare_token="K3S_TOKEN" in host.disk.server_environment,
        configured=host.disk.config is not None,
        runs=unit is not None and unit.facts().active == "active",
    )


async def _read_secret(host: Host, operation: ReadSecret, _: HostKeyKind) -> Secret:
    match operation.kind:
        case SecretKind.TOKEN:
            text = host.disk.token
        case SecretKind.KUBECONFIG:
            text = host.disk.kubeconfig
        case SecretKind.CONFIG_TOKEN:
            text = host.disk.configured_token
        case SecretKind.AGENT_TOKEN:
            text = host.disk.agent_token
        case SecretKind.CONFIG_AGENT_TOKEN:
            text = str(config_file.read(host.disk.config or "").get("agent-token") or "")
    if not text:
        raise failed(f"this host has no {operation.kind.value}")
    return Secret(text)


async def _read_journal(host: Host, operation: ReadJournal, _: HostKeyKind) -> str:
    lines = [line.text for line in host.journal if line.role is operation.role]
    return "\n".join(lines[-operation.lines :])


HANDLERS: Mapping[type[Operation[Any]], Handler] = {
    Probe: _probe,
    RotateHostKey: _rotate_host_key,
    Install: _install,
    WriteConfig: _write_config,
    PointToServer: _point_to_server,
    Reconfigure: reconfiguring.reconfigure,
    StageK3s: reconfiguring.stage_k3s,
    TidyK3s: reconfiguring.tidy_k3s,
    SetToken: set_token,
    WriteCaPin: write_ca_pin,
    StartK3s: _start_k3s,
    AwaitK3s: _await_k3s,
    RemoveMember: _remove_member,
    RestartBirth: _restart_birth,
    PromoteLearner: _promote_learner,
    WipeJoiner: rejoining.wipe_joiner,
    SaveSnapshot: _save_snapshot,
    ReadSecret: _read_secret,
    ReadMembers: _read_members,
    ReadOrigin: _read_origin,
    ReadJournal: _read_journal,
    **retirement.HANDLERS,
    **snapshots.HANDLERS,
    **reset.HANDLERS,
}
