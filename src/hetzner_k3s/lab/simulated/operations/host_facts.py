"""What one look at a simulated host tells: the operation `Probe`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from hetzner_k3s.lab.k3s.api.resources import NAMESPACES
from hetzner_k3s.lab.k3s.etcd import port
from hetzner_k3s.lab.k3s.etcd.model import ModelEtcd
from hetzner_k3s.lab.k3s.etcd.model_data import Data
from hetzner_k3s.lab.k3s.trust.bootstrap import NO_DATA, NO_INDEX
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.k3s import k3s_files
from hetzner_k3s.lab.simulated.operations.supervisor_facts import supervisor_facts
from hetzner_k3s.model.host import EtcdFacts, HostFacts, HostKeyKind, Member, UnitFacts
from hetzner_k3s.model.operations.operation import K3sRole

_KUBE_SYSTEM = NAMESPACES.key("", "kube-system")


def look(host: Host, key: HostKeyKind) -> HostFacts:
    """Look at a host; `key` is the host key that answered."""
    units = {role: unit.facts() for role, unit in host.units.items()}
    return HostFacts(
        key=key,
        machine_id=host.disk.machine_id,
        hostname=host.name,
        clock=host.site.clock.now() + host.site.skew.get(host.name, 0.0),
        boot_finished=host.disk.initialized,
        interfaces=host.interfaces,
        k3s_version=host.disk.k3s_version,
        staged=host.disk.staged,
        server_unit=units.get(K3sRole.SERVER, UnitFacts()),
        agent_unit=units.get(K3sRole.AGENT, UnitFacts()),
        disk=host.disk.facts(),
        etcd=etcd_facts(host),
        supervisor=supervisor_facts(host),
        snapshots=tuple(saved.entry for _, saved in sorted(host.disk.snapshots.items())),
        operation=host.disk.operation,
        restoring=host.disk.restoring,
        agentless=host.disk.agentless,
        lineage=host.disk.lineage[0] if host.disk.lineage else None,
        parent_lineage=host.disk.lineage[1] if host.disk.lineage else None,
        failed_commands=tuple(host.disk.failed_commands),
        commands_wait=host.disk.commands_wait,
        cut_off=birth_cut_off(host),
        held=host.disk.held,
    )


def birth_cut_off(host: Host) -> str | None:
    """Give k3s' last words where its first start was cut off right after etcd's log began."""
    unit = host.units.get(K3sRole.SERVER)
    if host.disk.drive.data is None or unit is None or unit.facts().active == "active":
        return None
    lines = (line for line in host.journal if line.role is K3sRole.SERVER and line.at >= host.disk.log_began)
    last = [line.text for line in lines if "level=fatal" in line.text][-1:]
    return next((words for words in (NO_INDEX, NO_DATA) if last and words in last[0]), None)


def etcd_facts(host: Host) -> EtcdFacts:
    """Ask the local etcd, as far as it answers."""
    server = host.server
    if server is None or server.etcd is None:
        return EtcdFacts()
    if not server.etcd.healthy:
        return EtcdFacts(healthy=False, reason="RAFT NO LEADER", active_peers=_peers(server.etcd))
    etcd = server.etcd
    data = etcd.leader.data if etcd.leader else etcd.data
    return EtcdFacts(
        healthy=True,
        member_id=str(etcd.data.member_id),
        leader=str(data.member_id),
        learner=etcd.data.me.learner,
        term=etcd.data.term,
        index=etcd.data.index,
        revision=etcd.data.revision,
        errors=tuple(_alarms(host)),
        members=member_list(data.members.values()),
        bootstrap_keys=_bootstrap_keys(etcd),
        uid=uid_in(etcd.data),
        active_peers=_peers(etcd),
    )


def _peers(etcd: ModelEtcd) -> tuple[str, ...]:
    return tuple(str(number) for number in etcd.active_peers())


def _alarms(host: Host) -> Iterator[str]:
    """Return the alarms of all members, as every etcd tells of them."""
    for other in host.site.hosts.values():
        data = other.disk.drive.data
        if data is not None:
            yield from (f"memberID:{data.member_id} alarm:{alarm}" for alarm in host.site.alarms.get(other.name, ()))


def member_list(members: Iterable[port.Member]) -> tuple[Member, ...]:
    """Give etcd's members in the product's words, by id."""
    return tuple(_member(member) for member in sorted(members, key=lambda m: m.id))


def _member(member: port.Member) -> Member:
    return Member(id=str(member.id), name=member.name, peer_urls=member.peer_urls, learner=member.learner)


def _bootstrap_keys(etcd: ModelEtcd) -> tuple[str, ...]:
    keys = sorted(key for key in etcd.data.keys if key.startswith(k3s_files.PREFIX))
    return tuple(key.removeprefix(k3s_files.PREFIX) for key in keys)


def uid_in(data: Data) -> str | None:
    """Return the kube-system UID that a datastore holds."""
    found = data.keys.get(_KUBE_SYSTEM)
    return str(json.loads(found.value)["metadata"]["uid"]) if found else None
