"""The invariants I1-I13, asked of a simulated world. Each broken one is a sentence.

See docs/facts/recovery.md#invariants.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from hetzner_k3s.lab.k3s.etcd.model_data import Data, majority
from hetzner_k3s.lab.k3s.trust import node_password, tokens
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.hosts.server import Server
from hetzner_k3s.lab.simulated.world import World
from hetzner_k3s.model import naming
from hetzner_k3s.model.spec import ClusterSpec

from .tool import Run

_NODES = "/registry/minions/"
_PASSWORDS = "/registry/secrets/kube-system/"
_USERS = "/registry/configmaps/default/"


@dataclass(frozen=True)
class Picture:
    """What a cluster is at one moment; `starts` counts starts of k3s by server id, `users` are the user's objects."""

    ca: str
    uid: str
    cluster_id: int
    revision: int
    births: int
    servers: Mapping[str, int]
    starts: Mapping[int, int]
    users: Mapping[str, bytes] = field(default_factory=dict)


def leading_data(world: World) -> Data | None:
    """Give what the etcd with the most voters behind it holds, None where nobody leads."""
    leaders = [peer for peer in world.site.peers.members() if peer.leads]
    return max((peer.data for peer in leaders), key=lambda data: len(data.members), default=None)


def picture(world: World) -> Picture:
    """Take a picture of a cluster that answers."""
    data = leading_data(world)
    assert data is not None, "no etcd leads"
    server = _speaker(world)
    assert server is not None, "no k3s answers"
    return Picture(
        ca=tokens.ca_hash(server.disk.server_ca or b""),
        uid=_uid(data),
        cluster_id=data.cluster_id,
        revision=data.revision,
        births=len(world.site.births),
        servers={s.name: s.id for s in world.project.servers.values()},
        starts={host.server_id: _starts(host) for host in world.site.hosts.values()},
        users={key: entry.value for key, entry in data.keys.items() if key.startswith(_USERS)},
    )


def _speaker(world: World) -> Server | None:
    """Give the k3s whose etcd leads; where none has one, any that serves what lies in a database."""
    servers = [host.server for host in world.site.hosts.values() if host.server is not None]
    leading = [server for server in servers if server.etcd is not None and server.etcd.leads]
    serving = [server for server in servers if server.etcd is None and server.disk.server_ca is not None]
    return next(iter([*leading, *serving]), None)


def _uid(data: Data) -> str:
    found = data.keys.get("/registry/namespaces/kube-system")
    return str(json.loads(found.value)["metadata"]["uid"]) if found else ""


def _starts(host: Host) -> int:
    """Count the starts that somebody asked for: k3s also exits by itself when it loses its lease.

    See docs/facts/k3s.md#exits-on-lost-lease.
    """
    return sum(unit.starts for unit in host.units.values())


def quorum_lost(world: World) -> bool:
    """Tell whether the disks that exist hold the data of no majority any more, of whatever list is the newest.

    In a cluster that was just born one voter is all there is.
    """
    found = [host.disk.drive.data for host in world.site.hosts.values() if host.disk.drive.data is not None]
    if not found:
        return bool(world.site.births)
    newest = max(found, key=lambda data: data.position)
    present = {data.member_id for data in found if data.cluster_id == newest.cluster_id}
    return len([m for m in newest.voters if m.id in present]) < majority(len(newest.voters))


def always(world: World, before: Picture | None = None) -> list[str]:
    """Ask what must hold whatever happened: I1-I4, I9, and that two clusters never live."""
    broken = []
    if before is not None and len(world.site.births) > before.births:
        broken.append(f"I9: {len(world.site.births)} births: {world.site.births}")
    born = {tokens.ca_hash(h.disk.server_ca) for h in world.site.hosts.values() if h.disk.server_ca}
    living = {birth.host for birth in world.site.births if birth.ca in born}  # a host holds what was initialized last
    if len(living) > 1:
        broken.append(f"I9: what births on {sorted(living)} made exists at once")
    clusters = {(peer.trust, _uid(peer.data)) for peer in world.site.peers.members() if peer.leads}
    if len(clusters) > 1:
        broken.append(f"I9: {len(clusters)} clusters live at once")
    data = leading_data(world)
    if before is None or data is None or _speaker(world) is None:
        return broken
    now = picture(world)
    broken += [f"I1: CA {before.ca[:8]} became {now.ca[:8]}"] if now.ca != before.ca else []
    broken += [f"I2: UID {before.uid} became {now.uid}"] if now.uid != before.uid else []
    broken += [f"I3: lost {sorted(lost)}"] if (lost := before.users.items() - now.users.items()) else []
    broken += [f"I4: revision {before.revision} fell to {now.revision}"] if now.revision < before.revision else []
    return broken


def converged(world: World, spec: ClusterSpec, before: Picture | None = None, *, lost: Iterable[str] = ()) -> list[str]:
    """Ask what must hold once a run said that the cluster is up to date.

    Args:
        world, spec: what is, and what was wished for.
        before: how it was; None for a birth.
        lost: names whose servers were lost or rebuilt, so that they may be other ones, or started anew.
    """
    broken = always(world, before)
    data = leading_data(world)
    if data is None:
        return [*broken, "I6: nobody leads"]
    broken += [*_members(data, spec), *_servers(world, spec, before, set(lost)), *_leftovers(world, data, spec)]
    broken += [*_lock(world, spec), *_serving(world, spec)]
    if before is not None and data.cluster_id != before.cluster_id:
        broken.append("I5: the etcd cluster id changed")
    if before is not None:
        broken += _restarts(world, before, set(lost))
    return broken


def _lock(world: World, spec: ClusterSpec) -> Iterator[str]:
    """Another machine's dead run may leave its lock: whoever has something to do takes it over after a lease."""
    for group in world.project.placement_groups.values():
        ours = group.labels.get(naming.LABEL_LOCK_RUN) in world.laptop.runs
        if group.name == naming.operator_lock(spec.name) and ours:
            yield "I8: the operator lock is still there"


def _serving(world: World, spec: ClusterSpec) -> Iterator[str]:
    """Masters on a database have no member that tells of them: each has to serve."""
    for host in world.site.hosts.values() if spec.database is not None else ():
        if host.name in spec.master_names and not (host.server is not None and host.server.api_ready):
            yield f"I6: {host.name} does not serve"


def _members(data: Data, spec: ClusterSpec) -> Iterator[str]:
    if spec.database is not None:
        return
    voters = sorted(m.name.rpartition("-")[0] for m in data.voters)
    if voters != sorted(spec.master_names) or len(voters) != len(data.members):
        yield f"I6: members are {sorted((m.name, m.learner) for m in data.members.values())}"


def _servers(world: World, spec: ClusterSpec, before: Picture | None, lost: set[str]) -> Iterator[str]:
    now = {s.name: s.id for s in world.project.servers.values()}
    wanted = {s.name for s in spec.servers()} | (before.servers.keys() if before else set())
    if now.keys() != wanted:
        yield f"I7: servers are {sorted(now)}"
    for name, number in (before.servers if before else {}).items():
        if name not in lost and now.get(name) != number:
            yield f"I7: {name} was replaced although it was not lost"


def _leftovers(world: World, data: Data, spec: ClusterSpec) -> Iterator[str]:
    names = {s.name for s in spec.servers()}
    nodes = {key.removeprefix(_NODES) for key in data.keys if key.startswith(_NODES)}
    if nodes != names:
        yield f"I8: Nodes are {sorted(nodes)}"
    passwords = {key.removeprefix(_PASSWORDS) for key in data.keys if key.startswith(_PASSWORDS)}
    found = {p for p in passwords if p.endswith("k3s")}
    agents = {node_password.secret_name(name) for name in names - set(spec.master_names)}
    # A master's own is made anew at its next start (docs/facts/k3s.md#node-password): one that is missing is no
    # leftover.
    if not agents <= found <= {node_password.secret_name(name) for name in names}:
        yield f"I8: node passwords are {sorted(passwords)}"
    for server in world.project.servers.values():
        if naming.LABEL_HOST_KEY_NEXT in server.labels:
            yield f"I8: {server.name} still has a host key in waiting"
        if server.name in spec.master_names and server.labels.get(naming.LABEL_STATE) != naming.STATE_MEMBER:
            yield f"I8: {server.name} is not marked as a member"


def _restarts(world: World, before: Picture, lost: set[str]) -> Iterator[str]:
    for host in world.site.hosts.values():
        if host.name not in lost and host.server_id in before.starts and _starts(host) != before.starts[host.server_id]:
            yield f"I11: k3s on {host.name} was started anew: {before.starts[host.server_id]} -> {_starts(host)}"


def snapshot_first(world: World, runs: Iterable[Run]) -> list[str]:
    """Ask that nothing was removed before a snapshot was saved and found not to be empty.

    See docs/architecture.md#order-of-repair.
    """
    removals = [w for run in runs for w in run.writes if w.startswith(("RemoveMember", "RetireMember"))]
    snapshots = [s for host in world.site.hosts.values() for s in host.disk.snapshots.values()]
    saved = any(
        s.entry.name.startswith(("pre-repair-", "pre-prune-", "pre-rollout-")) and s.entry.size > 0 for s in snapshots
    )
    return ["a member was removed, and no snapshot was saved before"] if removals and not saved else []


def second_run(run: Run) -> list[str]:
    """Ask of a run on a converged cluster that it did nothing (I12), and that the world was as the file says."""
    ahead = run.told.forecast
    nothing = run.code == 0 and not run.writes and ahead is not None and not (ahead.waves or ahead.differences)
    return [] if nothing else [f"I12: a second run was not idle: {run.writes}\n{run.story()}"]


def secrets_kept(world: World, runs: Iterable[Run]) -> list[str]:
    """Ask that no token stands where somebody else could read it (I13)."""
    passwords = {tokens.parse(h.disk.token).password for h in world.site.hosts.values() if h.disk.token}
    texts = [str(s.labels) + s.user_data for s in world.project.servers.values()]
    passwords |= {"a-password-of-a-database"}
    texts += [str(world.laptop.journal), *(line for run in runs for line in run.told.lines)]
    return [f"I13: a token stands in {text[:80]!r}" for text in texts for p in passwords if p in text]


def lineage_known(world: World, spec: ClusterSpec) -> list[str]:
    """Ask whether all that carries the lineage says the same, the ConfigMap included."""
    carriers = (world.project.placement_groups, world.project.networks, world.project.firewalls, world.project.servers)
    told = {r.labels.get(naming.LABEL_LINEAGE) for found in carriers for r in found.values()} - {None}
    servers = [s for s in world.project.servers.values() if s.name in spec.master_names]
    masters = {server.labels.get(naming.LABEL_LINEAGE) for server in servers}
    data = leading_data(world)
    found = data.keys.get("/registry/configmaps/kube-system/hetzner-k3s") if data else None
    inside = json.loads(found.value)["data"]["lineage"] if found else None
    if told == masters == {inside}:
        return []
    return [f"the lineage is told as {told}, of the masters {masters}, in the cluster {inside}"]
