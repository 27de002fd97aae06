"""Birth: the one place where a cluster may begin.

See docs/architecture.md#law-3, docs/architecture.md#bootstrap.
"""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.identity.hosts import holds_ca
from hetzner_k3s.decide.lifecycle import external_database_predictions
from hetzner_k3s.decide.lifecycle.provision import api_address_known
from hetzner_k3s.decide.view import given_up, predictions
from hetzner_k3s.decide.view.context import DecisionContext, Proposal
from hetzner_k3s.decide.view.control_plane import MasterView, identity_of
from hetzner_k3s.decide.view.servers.contact import NotReached, reach
from hetzner_k3s.decide.view.servers.k3s import K3s
from hetzner_k3s.decide.view.servers.membership import labelled_member
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import CloudView, Server
from hetzner_k3s.model.consents import NewClusterOver
from hetzner_k3s.model.facts import Unknown
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.identity import BirthRecord, Phase, RecordConflict
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope, StepKey, Wait, Way
from hetzner_k3s.model.snapshots import StoredSnapshot
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import InitControlPlane, RecordBirth, Step
from hetzner_k3s.model.steps.traits import TRAITS

BOOT = 180.0
"""Seconds given to what a birth waits for: the boot of a server, the address of a load balancer."""


def bootstrap_permitted(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse a birth beside anything that could be, or could have been, this cluster."""
    if isinstance(lookup.birth_record(context.spec, context.view), RecordConflict):
        return ()  # it says nothing, and that is refused by itself
    refusals = [_holds_data(server, why) for server, why in _not_empty(context)]
    refusals += [_seed_unproven(context, seed, why) for seed, why in _seeds_missing(context)]
    local = context.state.local
    if local.kubeconfig_ca is not None and not given_up.gives_up(context, local.kubeconfig_ca):
        refusals.append(_kubeconfig_exists(context))
    refusals += _snapshots_in_the_way(context)
    if local.open_birth and context.control_plane.record.phase is None and not given_up.in_effect(context):
        refusals.append(_journal_remembers(context))
    return tuple(refusals)


def _not_empty(context: DecisionContext) -> list[tuple[Server, str]]:
    """Name the servers of the cluster that are not proven empty and are not about to be."""
    found = [(s, _obstacle(s, context)) for s in _found_beside_the_seed(context)]
    return [(server, why) for server, why in found if why is not None]


def found_servers(spec: ClusterSpec, view: CloudView) -> tuple[Server, ...]:
    """Find every server of the cluster: by label, by every name it can have, by our own network and placement groups.

    An existing network of the user's may hold servers of others, so membership in it says nothing. Names alone cannot
    tell a cluster `a` from a cluster `a-b`, so a server that carries another cluster's label is not found by its name.
    """
    own_network = lookup.network_of_our_name(spec, view)
    groups = {g.id for g in view.placement_groups if g.labels.get(naming.LABEL_CLUSTER) == spec.name}
    names = {s.name for s in spec.servers()}
    patterns = (naming.master_name_pattern(spec.name), naming.worker_name_pattern(spec.name))

    def named(server: Server) -> bool:
        unlabelled = naming.LABEL_CLUSTER not in server.labels
        return server.name in names or (unlabelled and any(p.fullmatch(server.name) for p in patterns))

    def belongs(server: Server) -> bool:
        return (
            server.labels.get(naming.LABEL_CLUSTER) == spec.name
            or named(server)
            or (own_network is not None and own_network.id in server.private_ips)
            or server.placement_group in groups
        )

    return tuple(s for s in view.servers if belongs(s))


def _found(context: DecisionContext) -> tuple[Server, ...]:
    return found_servers(context.spec, context.view)


def _found_beside_the_seed(context: DecisionContext) -> tuple[Server, ...]:
    seed = _recorded_seed(context)
    return tuple(server for server in _found(context) if seed is None or seed.server != server)


def _recorded_seed(context: DecisionContext) -> MasterView | None:
    """Find the master that a birth was begun on; only under a master's name it is still that."""
    record = context.control_plane.record
    return next((m for m in context.control_plane.masters if m.server and m.server.id == record.seed), None)


def _seeds_missing(context: DecisionContext) -> list[tuple[int, str]]:
    """Return the recorded seeds that are no masters and not proven gone, and why: one may have been born meanwhile.

    There are two where a birth was begun anew on another seed and the run that wrote so was killed.
    """
    masters = {m.server.id for m in context.control_plane.masters if m.server}
    seeds = sorted(lookup.recorded_seeds(context.spec, context.view) - masters)
    return [(seed, why) for seed in seeds if (why := _seed_missing(context, seed)) is not None]


def _seed_missing(context: DecisionContext, seed: int) -> str | None:
    listed = next((s for s in context.view.servers if s.id == seed), None)
    if listed is not None:
        return f"it exists under the name {listed.name}"
    answer = context.state.lookups.get(seed, Unknown("nobody asked yet"))
    if isinstance(answer, Unknown):
        return f"whether it exists could not be asked: {answer.why}"
    return "it still exists although no listing shows it" if answer.value else None


def _obstacle(server: Server, context: DecisionContext) -> str | None:
    facts = context.state.facts(server.id)
    if facts is not None:
        return None if given_up.left_over(context, facts) else _trace_found(facts)
    if server.id in context.state.ordered:
        return None  # its disk is the image's: nobody but this run, under the lock, knows of it
    found = reach(server, context.state, joined=labelled_member(server))
    if isinstance(found, NotReached) and found.lost:
        return f"{found.why.value}: {found.detail}"
    return None if naming.LABEL_BOOT_KEY in server.labels else "not made by this tool, so it cannot be looked at"


def _trace_found(facts: HostFacts) -> str | None:
    """Say what on a host tells of a cluster; None where its disk is empty and nobody stopped k3s there on purpose."""
    if facts.disk.empty:
        return "k3s on it was stopped and masked for a quorum reset" if facts.held else None
    ca = facts.disk.server_ca or facts.disk.agent_ca
    return f"it holds data of a k3s cluster{f' with CA {ca[:8]}' if ca else ''}"


def _holds_data(server: Server, why: str) -> Refusal:
    return Refusal(
        code="birth.not-empty",
        saw=f"No bootstrap is recorded as done, but {server.name} (id {server.id}) exists: {why}.",
        why="A new cluster beside it could be a second one; only servers proven empty permit a bootstrap.",
        you_can="Find out whose it is, and restore access to it.",
        ways=(
            Way(text="Delete it at Hetzner only if you know that its data may go.", deletes=frozenset({server.name})),
        ),
    )


def _seed_unproven(context: DecisionContext, seed: int, why: str) -> Refusal:
    return Refusal(
        code="birth.seed",
        saw=f"A bootstrap of '{context.spec.name}' was begun on server {seed}, which is no master now: {why}.",
        why="It may hold the cluster that was initialized there, so no other master may begin one.",
        you_can="Give that server its name back, or delete it at Hetzner, and run `create` again.",
        ways=(Way(deletes=frozenset({f"server {seed}"})),),
    )


def _kubeconfig_exists(context: DecisionContext) -> Refusal:
    return Refusal(
        code="birth.kubeconfig",
        saw=f"{context.spec.kubeconfig_path} {holds_ca(context.state.local.kubeconfig_ca or '')}, "
        "but this Hetzner project "
        f"has no record of a bootstrap of '{context.spec.name}'.",
        why="The cluster may live in another project: this token could be the wrong one.",
        you_can="Check the Hetzner token. If that cluster is gone for good, move the kubeconfig away.",
    )


def _snapshots_in_the_way(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse a birth beside snapshots of masters of these names: their cluster may be lost, not gone, and k3s'
    retention would push them out.

    Those that the seed of an unfinished birth made itself are no obstacle, nor those of masters of other names.
    """
    if isinstance(context.state.snapshots, Unknown):
        return (_snapshots_unknown(context.state.snapshots.why),)
    if context.state.snapshots is None or given_up.in_effect(context):
        return ()
    seed = _recorded_seed(context)
    own = seed.facts.etcd.uid if seed is not None and seed.facts is not None else None
    pattern = naming.master_name_pattern(context.spec.name)
    found = [
        snapshot
        for snapshot in context.state.snapshots.value
        if pattern.fullmatch(snapshot.node or "")
        and (own is None or snapshot.cluster_uid != own)
        and not given_up.gives_up_snapshot(context, snapshot)
    ]
    return (_snapshots_exist(context, found),) if found else ()


def _snapshots_unknown(why: str) -> Refusal:
    return Refusal(
        code="birth.snapshots-unknown",
        saw=f"Whether S3 holds snapshots of a cluster of this name is not known: {why}.",
        why="They could be all that is left of a lost cluster, and a new one's would push them out.",
        you_can="Run `create` again when the S3 service answers; check datastore.etcd.s3_* in the file.",
    )


def _snapshots_exist(context: DecisionContext, found: list[StoredSnapshot]) -> Refusal:
    newest = max(found, key=lambda s: s.created)
    count = f"{len(found)} {'snapshot' if len(found) == 1 else 'snapshots'}"
    uid = newest.cluster_uid
    over = NewClusterOver(uid[:8]) if uid else None
    let_go = f", or let them be pushed out: `create {over}`" if over else ""
    return Refusal(
        code="birth.snapshots",
        saw=f"S3 holds {count} of masters named like those of '{context.spec.name}', the newest {newest.folder}/"
        f"{newest.name} (cluster UID {uid[:8] if uid else 'not noted'}), but this project has no record of a "
        "bootstrap.",
        why="That cluster may be lost, or live in another project; a new one's snapshots would push them out.",
        you_can="Check the Hetzner token. If that cluster is gone for good, name another datastore.etcd.s3_folder, "
        f"move its snapshots away{let_go}.",
        ways=(Way(consent=over),) if over else (),
    )


def _journal_remembers(context: DecisionContext) -> Refusal:
    return Refusal(
        code="birth.journal",
        saw=f"The journal on this machine says that '{context.spec.name}' was initialized and not deleted since, but "
        "this "
        "Hetzner project has no record of it.",
        why="The cluster may live in another project: this token could be the wrong one.",
        you_can="Check the Hetzner token. If that cluster is gone for good, run `hetzner-k3s delete` with this file. "
        "If another cluster of this name is wanted in this project, give it a file and a kubeconfig_path of its own.",
    )


def initialize(context: DecisionContext) -> Proposal | None:
    """Lead an unborn cluster to its record `born`."""
    record = context.control_plane.record
    seed = _recorded_seed(context) or _first_ready(context)
    unseen = _unseen(context)
    if unseen or seed.server is None or not api_address_known(context):
        return Proposal(waits=_awaited(context, unseen))
    if record.phase is None or lookup.recorded_seeds(context.spec, context.view) != {seed.server.id}:
        return Proposal((_record_bootstrapping(seed, seed.server),)) if _may_begin(seed) else Proposal()
    database = context.spec.database.digits if context.spec.database else None
    return Proposal(_bring_up(seed, seed.server, replace(record, database=database)))


def _may_begin(seed: MasterView) -> bool:
    """Check whether a birth may be recorded for it; the start guard ends what somebody started on an empty disk."""
    started_by_hand = seed.k3s is K3s.JOINING and seed.facts is not None and seed.facts.disk.empty
    return seed.k3s is K3s.READY or started_by_hand


def _first_ready(context: DecisionContext) -> MasterView:
    """Return the master that a cluster begins on: whichever is ready, so that none that is slow holds it up."""
    masters = context.control_plane.masters
    to_be_had = next((m for m in masters if m.server or m.name not in context.intent.unsold), masters[0])
    return next((m for m in masters if _may_begin(m)), to_be_had)


def _unseen(context: DecisionContext) -> list[Server]:
    """Return the servers that nobody has looked at; this run's own orders need no look (their disks are new)."""
    state = context.state
    return [s for s in _found_beside_the_seed(context) if state.facts(s.id) is None and s.id not in state.ordered]


def _awaited(context: DecisionContext, unseen: list[Server]) -> tuple[Wait, ...]:
    """Return what has to come by itself before a birth; what the file asks for is brought about by other moves."""
    wanted = {s.name for s in context.spec.servers()}
    waits = [Wait(what=f"{s.name} to answer", because=_EMPTY, deadline=BOOT) for s in unseen if s.name not in wanted]
    if lookup.load_balancer(context.spec, context.view) is not None and not api_address_known(context):
        waits.append(Wait(what="the API load balancer to get its address", because=_CERTIFICATE, deadline=BOOT))
    return tuple(waits)


_EMPTY = "it is of this cluster, and must be proven empty before another server may begin it"
_CERTIFICATE = "that address goes into the API's certificate"


def _record_bootstrapping(seed: MasterView, server: Server) -> PlannedStep:
    return PlannedStep(
        step=RecordBirth(
            target=Phase.BOOTSTRAPPING.value, record=BirthRecord(phase=Phase.BOOTSTRAPPING, seed=server.id)
        ),
        scope=Scope.CONTROL_PLANE,
        reason=Reason.BIRTH,
        because=f"no cluster of this name exists anywhere, and every server is empty; {seed.name} is ready first",
    )


def _bring_up(seed: MasterView, server: Server, record: BirthRecord) -> tuple[PlannedStep, ...]:
    identity = identity_of(seed.facts) if seed.facts else None
    if identity is not None:
        born = replace(
            record,
            phase=Phase.BORN,
            ca=identity.ca[: naming.CA_LABEL_DIGITS],
            uid=identity.uid,
            agent=seed.facts.disk.agent_token_hash if seed.facts else None,
        )
        return (
            PlannedStep(
                step=RecordBirth(target=Phase.BORN.value, record=born),
                scope=Scope.CONTROL_PLANE,
                reason=Reason.BIRTH,
                because=f"{seed.name} answers as a cluster of its own",
            ),
        )
    if not (seed.k3s in {K3s.READY, K3s.JOINING} or seed.has_yet_to_be_recorded):
        return ()
    anew = seed.facts is not None and seed.facts.cut_off is not None
    return (
        PlannedStep(
            step=InitControlPlane(target=seed.name, server_id=server.id, anew=anew),
            scope=Scope.CONTROL_PLANE,
            reason=Reason.BIRTH,
            because=_CUT_OFF if anew else "it is recorded as the seed of this cluster, which was not initialized yet",
        ),
    )


_CUT_OFF = (
    "its first start was cut off right after etcd had begun its log, and k3s never starts with that; nothing was "
    "initialized, "
    "so the log is put aside and the bootstrap begins anew with the same CA"
)


def complete_record(context: DecisionContext) -> Proposal | None:
    """Fill the record in where a killed run did not get to, or what carried it was made anew.

    A master gets its share when it has joined. Without a lineage another one would be minted, so that is left alone.
    Which agent token the cluster has, its healthy master knows better than the labels.
    """
    seed = context.control_plane.gateway
    agent = seed.facts.disk.agent_token_hash if seed is not None and seed.facts is not None else None
    record = replace(context.control_plane.record, agent=agent or context.control_plane.record.agent)
    if record.phase is not Phase.BORN or record.lineage is None:
        return None
    wanted = record.labels().items()
    if all(wanted <= carrier.labels.items() for carrier in lookup.shared_carriers(context.spec, context.view)):
        return None
    step = PlannedStep(
        step=RecordBirth(target=Phase.BORN.value, record=record),
        scope=Scope.CONTROL_PLANE,
        reason=Reason.UNFINISHED,
        because="not everything that carries the record says so",
    )
    return Proposal((step,))


def alternatives(spec: ClusterSpec, shown: frozenset[StepKey]) -> frozenset[StepKey]:
    """Return what may be done in the place of shown steps: which master is ready first, no forecast knows.

    Where one master begins the cluster and the others join it, each may be the one.
    """
    kinds = {key.kind for key in shown if key.target in spec.master_names and _begins_or_joins(key)}
    if InitControlPlane not in kinds:
        return frozenset()
    return frozenset(StepKey(kind, name) for kind in kinds for name in spec.master_names)


def _begins_or_joins(key: StepKey) -> bool:
    return key.kind is InitControlPlane or TRAITS[key.kind].joins


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after a step of birth."""
    match step:
        case RecordBirth():
            return predictions.with_record(spec, state, step.record)
        case InitControlPlane():
            return _with_first_master(spec, state, step.server_id)
        case _:
            return state


def _with_first_master(spec: ClusterSpec, state: ClusterState, server_id: int) -> ClusterState:
    """Start the first master; one that starts already may be through before this run could complete its token."""
    before = state.facts(server_id)
    if spec.database is not None:
        started = external_database_predictions.with_serving_master(spec, state, server_id)
    else:
        started = predictions.with_first_voter(spec, state, server_id)
    after = predictions.with_facts(started, server_id, lambda facts: replace(facts, cut_off=None))
    if before is None or not before.server_unit.runs:
        return after
    pinned = before.disk.config_token_ca
    return predictions.with_facts(
        after, server_id, lambda facts: replace(facts, disk=replace(facts.disk, config_token_ca=pinned))
    )
