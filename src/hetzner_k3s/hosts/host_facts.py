"""Reads the document that `scripts/facts.sh` prints into `HostFacts`."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hetzner_k3s.hosts.supervisor_facts import supervisor_facts
from hetzner_k3s.model.host import (
    DiskFacts,
    EtcdFacts,
    HostFacts,
    HostKeyKind,
    Member,
    OperationRecord,
    Snapshot,
    UnitFacts,
)
from hetzner_k3s.model.snapshots import SnapshotFile

_UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RUNNING_STATES = frozenset({"active", "activating", "deactivating", "reloading"})

Document = Mapping[str, Any]


def host_facts(document: Document, key: HostKeyKind) -> HostFacts:
    """Build the facts of one look; `key` is the host key that answered."""
    units = _units(document["units"])
    return HostFacts(
        key=key,
        machine_id=document["machine_id"],
        hostname=document["hostname"],
        clock=float(document["clock"]),
        boot_finished=document["boot_finished"],
        interfaces=_interfaces(document["interfaces"]),
        k3s_version=document["k3s_version"],
        server_unit=units.get("k3s.service", UnitFacts()),
        agent_unit=units.get("k3s-agent.service", UnitFacts()),
        disk=_disk(document["disk"]),
        etcd=_etcd(document["etcd"]),
        supervisor=supervisor_facts(document["supervisor"]),
        snapshots=_snapshots(document["snapshots"]),
        operation=_operation(document["operation"], units.get("hetzner-k3s-op.service", UnitFacts())),
        lineage=document["lineage"],
        parent_lineage=document["parent_lineage"],
        held=document["held"],
        restoring=document["restoring"],
    )


def _disk(document: Document) -> DiskFacts:
    """Read what lies on the disk; the agent's list of masters is the part of its file between the brackets."""
    listed = document["agent_servers"].replace('"', " ").replace(",", " ").split()
    return DiskFacts(**{**document, "agent_servers": tuple(listed)})


def members(answer: Document) -> tuple[Member, ...]:
    """Read the gateway's member list; a field that has its zero value is left out there."""
    return tuple(
        Member(
            id=entry["ID"],
            name=entry.get("name", ""),
            peer_urls=tuple(entry.get("peerURLs", ())),
            learner=entry.get("isLearner", False),
        )
        for entry in answer.get("members", ())
    )


def _interfaces(listed: str) -> dict[str, str]:
    """Read pairs of interface and address into address -> interface."""
    words = listed.split()
    return dict(zip(words[1::2], words[0::2], strict=False))


def _units(shown: str) -> dict[str, UnitFacts]:
    """Read `systemctl show`: its blocks are two blanks apart, its lines one."""
    blocks = [dict(line.split("=", 1) for line in block.split()) for block in shown.split("  ") if block.strip()]
    return {block["Id"]: _unit(block) for block in blocks if block["LoadState"] != "not-found"}


def _unit(block: Mapping[str, str]) -> UnitFacts:
    return UnitFacts(
        active=block["ActiveState"],
        sub=block["SubState"],
        restarts=int(block["NRestarts"]),
        main_pid=int(block["MainPID"]),
    )


def _etcd(document: Document | None) -> EtcdFacts:
    if document is None:
        return EtcdFacts()
    status: Document = document["status"] or {}
    header: Document = status.get("header", {})
    return EtcdFacts(
        healthy=document["health"]["health"] == "true",
        reason=document["health"].get("reason", ""),
        member_id=header.get("member_id"),
        leader=status.get("leader"),
        learner=status.get("isLearner", False),
        term=int(status.get("raftTerm", 0)),
        index=int(status.get("raftIndex", 0)),
        revision=int(header.get("revision", 0)),
        errors=tuple(status.get("errors", ())),
        members=members(document["members"]) if document["members"] else None,
        bootstrap_keys=_bootstrap_keys(document["bootstrap"] or {}),
        uid=_uid(document["kube_system"] or {}),
        active_peers=tuple(str(int(peer, 16)) for peer in document["peers"].split()),
    )


def _bootstrap_keys(answer: Document) -> tuple[str, ...]:
    return tuple(base64.b64decode(kv["key"]).decode().rpartition("/")[2] for kv in answer.get("kvs", ()))


def _uid(answer: Document) -> str | None:
    """Give the first UUID of the stored namespace, which is its UID in protobuf and in JSON alike."""
    for kv in answer.get("kvs", ()):
        found = _UUID.search(base64.b64decode(kv["value"]))
        if found:
            return found[0].decode()
    return None


def _snapshots(listed: str) -> tuple[Snapshot, ...]:
    """Read triples of size, modification time and name."""
    words = listed.split()
    triples = zip(words[0::3], words[1::3], words[2::3], strict=False)
    return tuple(Snapshot(name=name, size=int(size), created=float(at)) for size, at, name in triples)


def hosted_snapshots(told: Sequence[Document]) -> tuple[SnapshotFile, ...]:
    """Read what a host told of its snapshot files."""
    return tuple(
        SnapshotFile(
            name=one["name"],
            size=one["size"],
            created=float(one["created"]),
            sha256=one["sha256"],
            cluster_uid=one["uid"],
            token_hashes=tuple(one["tokens"].split()),
        )
        for one in told
    )


def _operation(last: Document | None, unit: UnitFacts) -> OperationRecord | None:
    if last is None:
        return None
    return OperationRecord(**last, running=unit.active in _RUNNING_STATES)
