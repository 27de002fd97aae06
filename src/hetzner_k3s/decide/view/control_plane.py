"""What an observation means for the control plane: its masters as one, the gateway, the members it lists.

Nothing is decided here; gates and moves read this one view, so they cannot disagree about what was seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hetzner_k3s.decide.view import extra_servers, node_claims, stale_lineage
from hetzner_k3s.decide.view.record import recorded
from hetzner_k3s.decide.view.servers.contact import Barrier, Contact, NotReached, Reached, reach
from hetzner_k3s.decide.view.servers.k3s import K3s, k3s_of_master
from hetzner_k3s.decide.view.servers.membership import Membership, membership_of_master
from hetzner_k3s.decide.view.servers.server_view import ServerView
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.consents import AcceptCa
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import HostFacts, Member
from hetzner_k3s.model.hosts.contact import InternalIps
from hetzner_k3s.model.identity import BirthRecord, Identity, Phase, RecordConflict
from hetzner_k3s.model.kube import KubeNode, KubeView
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec
from hetzner_k3s.model.state import ClusterState


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterView(ServerView):
    """A master as it was seen; server, Node and (with a suffix) member share its name.

    `spec` is what the file wants of it; of one beyond the file, what it would want.
    """

    spec: MasterSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway(MasterView):
    """The healthy master that everything else is done through: there is a server, and its host answered."""

    server: Server
    facts: HostFacts


@dataclass(frozen=True, slots=True)
class EtcdMembers:
    """The cluster's data lies in the masters' own etcd: `members` is the list that the gateway serves."""

    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class OutsideDatabase:
    """The cluster's data lies in a database outside of it: no master holds any, and there are no members, by design."""


Store = EtcdMembers | OutsideDatabase


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """The masters as one, and the gateway, if one of them is healthy.

    `masters` are those of the file; `surplus` are those beyond it, with a server, a member or a Node left. `former_ca`
    is the CA that labels still carry where another one was accepted, `ca_obstacle` why one was not.
    """

    record: BirthRecord
    former_ca: str | None = None
    ca_obstacle: str | None = None
    masters: tuple[MasterView, ...]
    surplus: tuple[MasterView, ...] = ()
    gateway: Gateway | None
    store: Store
    kube: KubeView | None
    internal_ips: InternalIps

    @property
    def members(self) -> tuple[Member, ...]:
        """Return the member list of etcd; a cluster in a database has none."""
        return self.store.members if isinstance(self.store, EtcdMembers) else ()

    @property
    def on_database(self) -> bool:
        """Check whether the cluster's data lies outside its masters."""
        return isinstance(self.store, OutsideDatabase)

    def lists(self, name: str) -> bool:
        """Check whether the cluster that lives counts a master of this name as its own, whatever became of it.

        Whoever opens the database with its token is a master of that cluster: there are no former ones.
        """
        return self.on_database or any(member.node == name for member in self.members)

    def master(self, name: str) -> MasterView | None:
        """Find a wanted master by name."""
        return next((m for m in self.masters if m.name == name), None)

    @property
    def all_masters(self) -> tuple[MasterView, ...]:
        """Return every master there is, wanted or not: whoever votes counts."""
        return (*self.masters, *self.surplus)


def view_of(spec: ClusterSpec, state: ClusterState, accepted: AcceptCa | None = None) -> ControlPlane:
    """Put together what was seen of the control plane; `accepted` is a rotated CA that its owner vouches for."""
    reading = recorded(spec, state, accepted)
    record = reading.record
    if isinstance(record, RecordConflict):
        record = BirthRecord()  # its own gate refuses; nothing may be built on either side
    internal_ips = lookup.internal_ips(spec, state.view)
    kube = _kube_view(spec, state)
    born = record.phase is Phase.BORN
    beyond_file = extra_servers.surplus_masters(spec, state.view) if born else ()

    def view(master: MasterSpec) -> MasterView:
        return _view_master(master, state, record, kube, internal_ips)

    masters, surplus = tuple(map(view, spec.masters)), tuple(map(view, beyond_file))
    gateway = _choose_gateway(masters, record) or _choose_gateway(surplus, record)
    masters = tuple(_unless_locked_out(master, gateway) for master in masters)
    masters = tuple(_unless_relabelled(master, gateway, record, internal_ips) for master in masters)
    members = (gateway.facts.etcd.members if gateway else None) or ()
    gone = extra_servers.gone_masters(spec, state.view, members, kube) if born else ()
    return ControlPlane(
        record=record,
        former_ca=reading.former_ca,
        ca_obstacle=reading.obstacle,
        masters=masters,
        surplus=(*surplus, *map(view, gone)),
        gateway=gateway,
        store=_store(spec, members),
        kube=kube,
        internal_ips=internal_ips,
    )


def _store(spec: ClusterSpec, members: tuple[Member, ...]) -> Store:
    """Return where the data lies: the file decides, and a gate refuses one that the cluster contradicts."""
    if spec.database is not None:
        return OutsideDatabase()
    return EtcdMembers(tuple(sorted(members, key=lambda m: (m.name, m.id))))


def healthy_master(spec: ClusterSpec, state: ClusterState) -> int | None:
    """Return the server id of the master that everything would be done through; None where none is healthy."""
    gateway = view_of(spec, state).gateway
    return gateway.server.id if gateway is not None else None


def identity_of(facts: HostFacts) -> Identity | None:
    """Return the identity a master's disk and datastore tell, None unless both halves are known."""
    if facts.disk.server_ca is None or facts.uid is None:
        return None
    return Identity(facts.disk.server_ca, facts.uid)


def _kube_view(spec: ClusterSpec, state: ClusterState) -> KubeView | None:
    """Return what the API says, with Nodes that stand for the servers that Hetzner agrees they are of."""
    view = node_claims.api_view(spec, state)
    return None if view is None else node_claims.settled(view, state, lookup.internal_ips(spec, state.view))


def _view_master(
    spec: MasterSpec, state: ClusterState, record: BirthRecord, kube: KubeView | None, internal_ips: InternalIps
) -> MasterView:
    server = state.server(spec.name)
    if server is None:
        return MasterView(
            name=spec.name,
            spec=spec,
            server=None,
            facts=None,
            contact=NotReached(Barrier.ABSENT),
            membership=Membership.NONE,
        )
    node = kube.node(server.name) if kube else None
    membership = membership_of_master(server, record, node, api_read=kube is not None)
    return MasterView(
        name=spec.name,
        spec=spec,
        server=server,
        facts=state.facts(server.id),
        contact=_contact(server, state, node, membership, internal_ips),
        membership=membership,
    )


def _contact(
    server: Server, state: ClusterState, node: KubeNode | None, membership: Membership, internal_ips: InternalIps
) -> Contact:
    if membership.joined and internal_ips.of(server) is None:
        return NotReached(Barrier.DETACHED, "it has no address in the cluster's network")
    found = reach(server, state, joined=membership.joined)
    if isinstance(found, HostFacts):
        return Reached(*k3s_of_master(server, found, node, membership))
    proven = found.why is Barrier.REBUILT and _rebuild_proven(server, state, node)
    return NotReached(Barrier.UNSECURED, "it was rebuilt") if proven else found


def _rebuild_proven(server: Server, state: ClusterState, node: KubeNode | None) -> bool:
    """Check whether Hetzner rebuilt this server after its Node had registered.

    Who can read its metadata knows its boot key, which proves nothing alone (docs/architecture.md#host-keys).
    """
    reading = state.rebuilds.get(server.id)
    if not isinstance(reading, Known) or reading.value is None or node is None or node.created is None:
        return False
    return node.machine == server.id and reading.value > node.created


def current_token(facts: HostFacts) -> str | None:
    """Return the hash of the one token that a master's datastore knows, None while that is not told or not one."""
    keys = facts.bootstrap_keys
    return keys[0] if len(keys) == 1 else None


def holds_current_token(facts: HostFacts) -> bool:
    """Check whether a master's `server/token` is the one that its datastore knows."""
    return facts.disk.token_hash in facts.bootstrap_keys


def accepts_joins(facts: HostFacts) -> bool:
    """Check whether a master holds the token that its datastore knows and, as far as it is told, runs with it."""
    return holds_current_token(facts) and facts.takes_commands


def _unless_locked_out(master: MasterView, gateway: Gateway | None) -> MasterView:
    """Tell a master apart whose k3s ends at each start because it holds an earlier token than the gateway's datastore.

    A password file of an earlier token alone may just be about to be replaced: only where systemd has started k3s again
    it is what keeps it from starting (docs/facts/k3s.md#token-rotation).
    """
    facts, current = master.facts, current_token(gateway.facts) if gateway else None
    if facts is None or gateway is None or current is None or not master.started_and_does_not_serve:
        return master
    begun = facts.disk.wal or master.k3s is K3s.JOINING
    ours = facts.disk.shares_ca(gateway.facts.disk)
    stale = facts.disk.config_token_hash not in {None, current} and master.k3s is not K3s.JOINING
    half_renewed = facts.disk.passwd_hash not in {None, current} and facts.server_unit.restarts > 0
    silent = facts.server_unit.active in {"activating", "inactive", "failed"} and facts.etcd.healthy is None
    if begun and ours and silent and (stale or half_renewed):
        return replace(master, contact=Reached(K3s.LOCKED_OUT, master.detail))
    return master


def _unless_relabelled(
    master: MasterView, gateway: Gateway | None, record: BirthRecord, internal_ips: InternalIps
) -> MasterView:
    """Tell a voter apart whose server's label names an earlier lineage than that of the cluster it joined.

    One without data waits for a quorum by itself, and joins whatever cluster its `server:` line leads it to.
    """
    if not master.is_member or master.server is None or master.facts is None or gateway is None:
        return master
    if stale_lineage.belongs(master.facts, master.server, record) or not stale_lineage.has_joined(
        master.facts, master.server, gateway.facts, internal_ips
    ):
        return master
    relabelled = Reached(K3s.SERVING, "its label names an earlier lineage")
    return replace(master, contact=relabelled, membership=Membership.INCOMPLETE)


def _choose_gateway(masters: tuple[MasterView, ...], record: BirthRecord) -> Gateway | None:
    """Choose by health, never by name or age: voter, leader seen, right identity and lineage, highest revision.

    One that was reset or restored and is not recorded yet comes first: it alone proves the lineage that it began, and
    until that is recorded a master of the past counts as one of the cluster.
    """
    healthy = [found for master in masters if (found := _if_healthy(master, record)) is not None]

    def rank(master: Gateway) -> tuple[bool, bool, bool, bool, bool, int, int]:
        facts, active = master.facts, master.facts.server_unit.active == "active"
        anew, noted = stale_lineage.began_anew(facts, record), facts.lineage is not None
        token = (accepts_joins(facts), holds_current_token(facts))
        return (anew, active, *token, noted, facts.etcd.revision, -master.server.id)

    return max(healthy, key=rank, default=None)


def _if_healthy(master: MasterView, record: BirthRecord) -> Gateway | None:
    """Return a master that everything could be done through; None where it is not well, or is another cluster's."""
    server, facts = master.server, master.facts
    if server is None or facts is None or not master.serves:
        return None
    identity = identity_of(facts)
    if identity is None or not _fits(identity, record) or not stale_lineage.belongs(facts, server, record):
        return None
    return Gateway(
        name=master.name,
        spec=master.spec,
        contact=master.contact,
        membership=master.membership,
        server=server,
        facts=facts,
    )


def _fits(identity: Identity, record: BirthRecord) -> bool:
    ca_fits = record.ca is None or identity.ca.startswith(record.ca)
    return ca_fits and record.uid in {None, identity.uid}
