"""Reads the document that `scripts/facts.sh` prints into `HostFacts`; what is not as expected is `Malformed`."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from ipaddress import ip_address

from hetzner_k3s.hosts.ca_bundle import ca_hash, former_hashes
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
from hetzner_k3s.model.hosts.host_config import COMPARED
from hetzner_k3s.model.hosts.origin import Origin
from hetzner_k3s.model.snapshots import SnapshotFile
from hetzner_k3s.model.text import plain_yaml
from hetzner_k3s.model.text.documents import Document, Malformed, decimal
from hetzner_k3s.model.text.printable import printable

_UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PEER = re.compile(r"[0-9a-f]{1,16}")
_RUNNING_STATES = frozenset({"active", "activating", "deactivating", "reloading"})


def host_facts(answer: object, key: HostKeyKind) -> HostFacts:
    """Return the facts of one look; `key` is the host key that answered.

    Raises:
        Malformed: the answer is not what the script prints.
    """
    document = Document.of(answer)
    units = _units(document.text("units"), document.number("uptime") if "uptime" in document else 0.0)
    return HostFacts(
        key=key,
        machine_id=document.text("machine_id"),
        hostname=document.text("hostname"),
        clock=document.number("clock"),
        boot_finished=document.flag("boot_finished"),
        interfaces=_interfaces(document.text("interfaces")),
        seen_from=_address(document.optional_text("seen_from")),
        k3s_version=document.optional_text("k3s_version"),
        staged=document.optional_text("staged"),
        server_unit=units.get("k3s.service", UnitFacts()),
        agent_unit=units.get("k3s-agent.service", UnitFacts()),
        disk=disk_facts(document.child("disk")),
        etcd=_etcd(document.child("etcd")) if "etcd" in document else EtcdFacts(),
        supervisor=supervisor_facts(document.child("supervisor") if "supervisor" in document else None),
        snapshots=_snapshots(document.text("snapshots")),
        operation=_operation(document, units.get("hetzner-k3s-op.service", UnitFacts())),
        lineage=document.optional_text("lineage"),
        parent_lineage=document.optional_text("parent_lineage"),
        failed_commands=_failed_commands(document.text("failed_commands")),
        commands_wait=document.flag("commands_wait"),
        cut_off=document.optional_text("cut_off"),
        held=document.flag("held"),
        restoring=document.flag("restoring"),
        agentless=document.flag_or("agentless"),
    )


def _failed_commands(told: str) -> tuple[str, ...]:
    """Read what failed; the host puts a mark behind each."""
    return tuple(printable(one.strip()) for one in told.split(" ;;") if one.strip())


def disk_facts(document: Document) -> DiskFacts:
    """Read what lies on the disk; the agent's list of masters is the part of its file between the brackets."""
    listed = document.text("agent_servers").replace('"', " ").replace(",", " ").split()
    server, agent = decoded(document, "server_cas"), decoded(document, "agent_cas")
    return DiskFacts(
        wal=document.flag("wal"),
        tombstone=document.flag("tombstone"),
        reset_flag=document.flag("reset_flag"),
        server_ca=document.optional_text("pinned_ca") or (ca_hash(server) if server else None),
        former_cas=former_hashes(server),
        agent_ca=ca_hash(agent) if agent else None,
        agent_former_cas=former_hashes(agent),
        token_hash=document.optional_text("token_hash"),
        config_token_hash=document.optional_text("config_token_hash"),
        config_token_ca=document.optional_text("config_token_ca"),
        passwd_hash=document.optional_text("passwd_hash"),
        agent_token_hash=document.optional_text("agent_token_hash"),
        config_agent_hash=document.optional_text("config_agent_hash"),
        config_token_agent=document.flag("config_token_agent"),
        config_server=document.optional_text("config_server"),
        config_database=document.optional_text("config_database"),
        config_present=document.flag("config_present"),
        config=_config(document) if document.flag("config_present") else _flags(document),
        unit_flag=document.text_or("unit_flag"),
        environment_token_hash=document.optional_text("environment_token_hash"),
        registries=document.optional_text("registries"),
        s3_hash=document.optional_text("s3_hash"),
        agent_servers=tuple(listed),
    )


def _config(document: Document) -> Mapping[str, tuple[str, ...]] | None:
    """Read the compared keys of `config.yaml`; None where a hand wrote it in a way that is not read here."""
    try:
        found = plain_yaml.texts(plain_yaml.read(decoded(document, "config").decode()))
    except (plain_yaml.NotPlain, UnicodeDecodeError):
        return None
    return {key: tuple(map(printable, values)) for key, values in found.items() if key in COMPARED}


def _flags(document: Document) -> Mapping[str, tuple[str, ...]] | None:
    """Read the compared flags of a unit of 2.x; None where there are none, as on a host of no cluster."""
    try:
        words = decoded(document, "flags").decode().splitlines() if "flags" in document else []
    except UnicodeDecodeError:
        return None
    found: dict[str, tuple[str, ...]] = {}
    names: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not name.startswith("--"):
            name, value = (names[-1] if names else ""), word
        elif not equals:
            names.append(name.removeprefix("--"))
            continue
        key = name.removeprefix("--")
        if key in COMPARED:
            found[key] = (*found.get(key, ()), printable(value))
    return found or None


def members(answer: Document) -> tuple[Member, ...]:
    """Read the gateway's member list; a field that has its zero value is left out there."""
    return tuple(
        Member(
            id=str(entry.decimal("ID")),
            name=entry.text_or("name"),
            peer_urls=entry.texts("peerURLs"),
            learner=entry.flag_or("isLearner"),
        )
        for entry in answer.children_or_none("members")
    )


def _interfaces(listed: str) -> dict[str, str]:
    """Read pairs of interface and address into address -> interface."""
    words = listed.split()
    return dict(zip(words[1::2], words[0::2], strict=False))


def _address(text: str | None) -> str | None:
    """Return an address as it is usually written."""
    try:
        return str(ip_address(text)) if text else None
    except ValueError:
        raise Malformed("seen_from is no address") from None


def _units(shown: str, uptime: float) -> dict[str, UnitFacts]:
    """Read `systemctl show`: its blocks are two blanks apart, its lines one; `uptime` is the host's, in seconds."""
    blocks = [_block(block) for block in shown.split("  ") if block.strip()]
    return {block.text("Id"): _unit(block, uptime) for block in blocks if block.text("LoadState") != "not-found"}


def _block(shown: str) -> Document:
    lines = (line.partition("=") for line in shown.split())
    return Document({name: value for name, _, value in lines}, "units")


def _unit(block: Document, uptime: float) -> UnitFacts:
    pid, began = block.decimal("MainPID"), block.decimal("ExecMainStartTimestampMonotonic", 0) / 1e6
    return UnitFacts(
        active=block.text("ActiveState"),
        sub=block.text("SubState"),
        restarts=block.decimal("NRestarts"),
        main_pid=pid,
        running_for=max(0.0, uptime - began) if pid and began else None,
    )


def _etcd(document: Document) -> EtcdFacts:
    health, status = document.child("health"), document.child_or_empty("status")
    header = status.child_or_empty("header")
    return EtcdFacts(
        healthy=health.text("health") == "true",
        reason=health.text_or("reason"),
        member_id=_id(header, "member_id"),
        leader=_id(status, "leader"),
        learner=status.flag_or("isLearner"),
        term=status.decimal("raftTerm", 0),
        index=status.decimal("raftIndex", 0),
        revision=header.decimal("revision", 0),
        errors=status.texts("errors"),
        members=members(document.child("members")) if "members" in document else None,
        bootstrap_keys=_bootstrap_keys(document.child_or_empty("bootstrap")),
        uid=_uid(document.child_or_empty("kube_system")),
        active_peers=tuple(map(_peer, document.text("peers").split())),
    )


def _id(document: Document, name: str) -> str | None:
    return str(document.decimal(name)) if name in document else None


def _peer(digits: str) -> str:
    if not _PEER.fullmatch(digits):
        raise Malformed("etcd.peers holds what is no id of a member")
    return str(int(digits, 16))


def _bootstrap_keys(answer: Document) -> tuple[str, ...]:
    keys = (decoded(kv, "key").decode(errors="replace") for kv in answer.children_or_none("kvs"))
    return tuple(printable(key.rpartition("/")[2]) for key in keys)


def _uid(answer: Document) -> str | None:
    """Return the first UUID of the stored namespace, which is its UID in protobuf and in JSON alike."""
    for kv in answer.children_or_none("kvs"):
        found = _UUID.search(decoded(kv, "value"))
        if found:
            return found[0].decode()
    return None


def decoded(document: Document, name: str) -> bytes:
    """Return the bytes that a field holds in base64."""
    try:
        return base64.b64decode(document.raw_text(name), validate=True)
    except ValueError:
        raise Malformed(f"{document.path}.{name} is no base64".lstrip(".")) from None


def _snapshots(listed: str) -> tuple[Snapshot, ...]:
    """Read size, modification time and name of files; each ends with a slash, which no name can hold."""
    entries = (entry.split(maxsplit=2) for entry in listed.split("/") if entry.strip())
    return tuple(map(_snapshot, entries))


def _snapshot(entry: list[str]) -> Snapshot:
    if len(entry) != 3:
        raise Malformed("snapshots is no list of sizes, times and names")
    size, at, name = entry
    return Snapshot(name=name, size=decimal(size, "snapshots"), created=float(decimal(at, "snapshots")))


def origin(answer: object) -> Origin:
    """Read how k3s was installed on a host."""
    document = Document.of(answer)
    return Origin(
        flag=document.text("flag"),
        bare_token=document.flag("bare_token"),
        configured=document.flag("configured"),
        runs=document.flag("runs"),
    )


def saved_snapshot(answer: object) -> Snapshot:
    """Read which file a snapshot was saved in."""
    document = Document.of(answer)
    return Snapshot(name=document.text("name"), size=document.whole("size"), created=document.number("created"))


def hosted_snapshots(answer: object) -> tuple[SnapshotFile, ...]:
    """Read what a host told of its snapshot files."""
    return tuple(
        SnapshotFile(
            name=one.text("name"),
            size=one.whole("size"),
            created=one.number("created"),
            sha256=one.text("sha256"),
            cluster_uid=one.optional_text("uid"),
            token_hashes=tuple(one.text("tokens").split()),
        )
        for one in Document({"snapshots": answer}).children("snapshots")
    )


def _operation(document: Document, unit: UnitFacts) -> OperationRecord | None:
    if "operation" not in document:
        return None
    last = document.child("operation")
    return OperationRecord(
        id=last.text("id"),
        name=last.text("name"),
        fence=last.whole_or("fence"),
        running=unit.active in _RUNNING_STATES,
    )
