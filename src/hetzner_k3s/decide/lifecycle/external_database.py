"""A cluster whose data lies in an external database: masters hold none of it, so each may go, and all of them at once.

docs/facts/recovery.md#external-database: no steps about members, quorum, snapshots; the token is all that opens
the database, so it is never a new one; a database that does not answer stops everything.
"""

from __future__ import annotations

from collections.abc import Mapping

from hetzner_k3s.decide.lifecycle.emptying import emptying
from hetzner_k3s.decide.lifecycle.external_database_access import is_out, tokens_at_hand
from hetzner_k3s.decide.lifecycle.external_database_predictions import with_serving_master
from hetzner_k3s.decide.lifecycle.join import marked
from hetzner_k3s.decide.prune.permission import anothers_node, not_yet_members
from hetzner_k3s.decide.prune.retire import AWAY, node_of_nobody
from hetzner_k3s.decide.repair import power
from hetzner_k3s.decide.view import held_tokens
from hetzner_k3s.decide.view.consent_mismatch import unfit
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext, UnservedContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.servers.contact import Barrier
from hetzner_k3s.decide.view.servers.k3s import K3s
from hetzner_k3s.decide.view.servers.membership import labelled_member
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.consents import Consent, Keep, NewClusterOver, Prune, ResetQuorumFrom, Restore
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope, Way
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import (
    DeleteServer,
    InitControlPlane,
    PowerOn,
    StartMaster,
    StartOnDatabase,
    Step,
    UnmarkMember,
)

_OTHER_TOKEN = "encrypted with different token"
_UNREACHABLE = ("kine", "storage endpoint", "leaderelection lost", "dial tcp", "connection refused")
"""What k3s says when its external datastore does not answer: kine's own start, and leases that cannot be renewed."""


# --- gates of every cluster -----------------------------------------------------------------------------------------


def datastore_agrees(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse where the file says that the data lies elsewhere than the birth record, or a master, says.

    A database that its owner moved is no other one, when a master that serves the recorded cluster runs on it already.
    """
    wanted, record = context.spec.database.digits if context.spec.database else None, context.control_plane.record
    elsewhere = [f"{m.name} runs on {_place(its)}" for m, its in _told(context) if its != wanted]
    if record.phase is Phase.BORN and record.database != wanted and not _serves_on(context, wanted):
        elsewhere.insert(0, f"the birth record names {_place(record.database)}")
    return (_elsewhere(wanted, elsewhere),) if elsewhere else ()


def _serves_on(context: DecisionContext, wanted: str | None) -> bool:
    gateway = context.control_plane.gateway.facts if context.control_plane.gateway else None
    return wanted is not None and gateway is not None and gateway.disk.config_database == wanted


def _told(context: DecisionContext) -> list[tuple[MasterView, str | None]]:
    """Return the masters that hold anything of a cluster, and which database they were started on; None: their etcd."""
    seen = [(m, m.facts) for m in context.control_plane.all_masters if m.facts is not None]
    return [(m, f.disk.config_database if f.on_database else None) for m, f in seen if _holds_something(m)]


def _holds_something(master: MasterView) -> bool:
    return master.facts is not None and master.facts.disk.config_present and not master.facts.disk.empty


def _place(digits: str | None) -> str:
    return "an etcd on the masters" if digits is None else f"the external database {digits[:8]}"


def _elsewhere(wanted: str | None, elsewhere: list[str]) -> Refusal:
    return Refusal(
        code="datastore.changed",
        saw=f"The file names {_place(wanted)} as the place of the cluster's data, but {', and '.join(elsewhere)}.",
        why="The data does not move by itself: a master that is made from this file would begin another cluster there.",
        you_can="Put datastore.mode and datastore.external_datastore_endpoint back to what the cluster was made with, "
        "and run `create` again. If a database itself has moved, give its new address to the masters first: in "
        "/etc/rancher/k3s/config.yaml of one after the other, each with a restart of k3s.",
    )


# --- gates of a cluster in a database -------------------------------------------------------------------------------


def database_serves(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse where no master can use the database, or none is left and nobody holds the token that opens it."""
    if context.control_plane.gateway is not None or power.awaited(context):
        return ()
    told = [
        (m, m.facts)
        for m in context.control_plane.all_masters
        if m.facts is not None and m.name not in _started(context)
    ]
    words = [(master, _words(facts.supervisor.complaint)) for master, facts in told]
    sealed = [master for master, said in words if _OTHER_TOKEN in said and not _better_token(context, master)]
    if sealed:
        return (_sealed(context, sealed[0]),)
    silenced = [(master, said) for master, said in words if any(word in said for word in _UNREACHABLE)]
    if silenced:
        return (_unreachable(context, *silenced[0]),)
    if context.control_plane.record.phase is not Phase.BORN:
        return ()
    doubtful = [m for m in context.control_plane.all_masters if m.name not in _started(context) and not is_out(m)]
    if doubtful:
        return (_none_serves(context, doubtful),)
    return () if tokens_at_hand(context) or _started(context) else (_no_token(context),)


def agent_token_found(context: UnservedContext) -> tuple[Refusal, ...]:
    """Refuse to start the first master again without the agents' token where the cluster has one."""
    tokens = tokens_at_hand(context)
    if not tokens or _started(context) or not held_tokens.agent_token_is_missing(context, tokens[0][0]):
        return ()
    return (held_tokens.missing_agent_token(context),)


def _better_token(context: DecisionContext, master: MasterView) -> bool:
    """Check whether another token has come up than the one that a master of a born cluster tried."""
    tokens = tokens_at_hand(context) if context.control_plane.record.phase is Phase.BORN else []
    return bool(tokens) and master.facts is not None and tokens[0][0] != master.facts.disk.config_token_hash


def _started(context: DecisionContext) -> frozenset[str]:
    """Name the masters that are being started: what their hosts told is older than that."""
    return context.joining | {key.target for key in context.in_flight if key.kind is InitControlPlane}


def _words(complaint: str) -> str:
    """Give k3s' last words without what surrounds them in its journal."""
    said = complaint.partition("msg=")[2] or complaint
    return said.strip("\"'. ").removeprefix("Error: ").replace("::", ":")


def _recorded(context: DecisionContext) -> str:
    record = context.control_plane.record
    return (
        f"The birth record says that '{context.spec.name}' was initialized (CA {(record.ca or '-')[:8]}, UID "
        f"{(record.uid or '-')[:8]}) in an external database; "
    )


def _unreachable(context: DecisionContext, master: MasterView, said: str) -> Refusal:
    return Refusal(
        code="datastore.unreachable",
        saw=f"No master of '{context.spec.name}' can use the external database. "
        f"The last words of k3s on {master.name}: "
        f"{said}.",
        why="All of the cluster's data lies there, and no master can do anything without it. Nothing was created, "
        "stopped or removed.",
        you_can="Bring the database back, and let the masters reach it (its firewall, the user and password of "
        "datastore.external_datastore_endpoint); k3s goes on by itself then. Then run `create` again.",
        transient=True,
    )


def _sealed(context: DecisionContext, master: MasterView) -> Refusal:
    held = (master.facts.disk.config_token_hash if master.facts else None) or "not told"
    born = context.control_plane.record.phase is Phase.BORN
    return Refusal(
        code="datastore.other-token",
        saw=f"k3s on {master.name} cannot open the external database: it is sealed with another token than the one "
        f"that {master.name} was given (hash {held}).",
        why="The database holds a cluster already, and only that cluster's token opens it; nothing was written there.",
        you_can="Give the token of that cluster in the environment variable HETZNER_K3S_TOKEN, and run `create` again."
        if born
        else "Name an empty database in datastore.external_datastore_endpoint, delete this server at Hetzner, and run "
        "`create` again.",
        ways=() if born else (Way(deletes=frozenset({master.name})),),
    )


def _none_serves(context: DecisionContext, doubtful: list[MasterView]) -> Refusal:
    seen = "; ".join(f"{m.name}: {m.described}" for m in doubtful)
    return Refusal(
        code="masters.none-serves",
        saw=f"{_recorded(context)}no master answers for it: {seen}.",
        why="What does not answer may serve the cluster all the same; nothing was created, stopped or removed.",
        you_can="Restore SSH access to the masters and look at `journalctl -u k3s` there. The data is in the database: "
        "a master that is lost can be deleted at Hetzner, and `create` makes another one.",
        ways=(Way(deletes=frozenset(m.name for m in doubtful)),),
        transient=any(m.barrier is Barrier.SILENT or m.not_ready for m in doubtful),
    )


def _no_token(context: DecisionContext) -> Refusal:
    ca = (context.control_plane.record.ca or "-")[:8]
    return Refusal(
        code="datastore.token-unknown",
        saw=f"{_recorded(context)}all its masters are gone, and neither a worker nor this machine holds its token: the "
        f"one that begins with K10{ca}.",
        why="The database is sealed with that token, and k3s opens it with no other one.",
        you_can="Give the whole token in the environment variable HETZNER_K3S_TOKEN (a bundle of `hetzner-k3s backup` "
        "holds it), and run `create` again.",
    )


def consents_fit_a_database(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse the consents that are about etcd, or about data on masters: here there is neither."""
    return tuple(
        unfit(consent, f"{_OUTSIDE} {saw}", _LEAVE_IT)
        for kind, saw in _NEEDLESS.items()
        for consent in context.consents.every(kind)
    )


_NEEDLESS: Mapping[type[Consent], str] = {
    ResetQuorumFrom: "The masters have no etcd, so there is no quorum to reset.",
    Restore: "The masters have no etcd, so there is no snapshot of it to restore.",
    Keep: "All masters serve one database, so there are no two sides to choose from.",
    NewClusterOver: "The old cluster's data lies in the database, and stays there.",
}
_OUTSIDE = "The cluster's data lies in an external database."
_LEAVE_IT = (
    "Run `create` without it. What is done about the data itself (a backup, a new and empty database) is done in the "
    "database."
)


# --- moves ----------------------------------------------------------------------------------------------------------


def start_first_master(context: UnservedContext) -> Proposal | None:
    """Start one of the masters that are ready, where none serves: with the token that opens the database."""
    first = min(_ready(context), key=lambda r: (r[0].k3s is not K3s.JOINING, r[0].spec.index), default=None)
    tokens = tokens_at_hand(context)
    if first is None or not tokens:
        return None
    return Proposal((_start(*first, found=tokens[0], agent=held_tokens.agent_token(context, tokens[0][0])),))


def start_masters(context: ServingContext) -> Proposal | None:
    """Start whatever is ready on the database, and record what serves."""
    starts = tuple(_start(m, server, via=context.gateway.server.id) for m, server in _ready(context))
    steps = marked(context) + starts
    return Proposal(steps) if steps else None


def _ready(context: DecisionContext) -> list[tuple[MasterView, Server]]:
    return [(m, m.server) for m in context.control_plane.masters if m.server and m.may_join_now]


def _start(
    master: MasterView,
    server: Server,
    *,
    via: int | None = None,
    found: tuple[str | None, held_tokens.Holder] = (None, None),
    agent: tuple[str, held_tokens.Holder] | None = None,
) -> PlannedStep:
    (token_hash, token_from), (agent_hash, agent_from) = found, agent or (None, None)
    step = StartOnDatabase(
        target=master.name,
        server_id=server.id,
        via=via,
        token_hash=token_hash,
        token_from=token_from,
        agent_hash=agent_hash,
        agent_from=agent_from,
    )
    because = "the data lies in the external database, and its host is ready to serve it"
    reason = Reason.MISSING if master.k3s is K3s.READY else Reason.UNFINISHED
    return PlannedStep(step=step, scope=Scope.CONTROL_PLANE, reason=reason, because=because)


_BEYOND = "it is beyond the file, and holds none of the data"


def remove_masters(context: ServingContext) -> Proposal | None:
    """Let one master beyond the file go a step further: off the load balancer, drained, its server, then its Node."""
    if Prune() not in context.consents or context.control_plane.kube is None:
        return None
    if not_yet_members(context):
        return None
    for master in sorted(context.control_plane.surplus, key=lambda m: -m.spec.index):
        step = _next(context, master)
        if step is not None:
            return Proposal((step,))
    return None


def _next(context: ServingContext, master: MasterView) -> PlannedStep | None:
    node, server = context.node(master.name), master.server
    if server is None:
        return node_of_nobody(context, node) if node is not None else None
    if server.status is ServerStatus.DELETING or anothers_node(context, server) is not None:
        return None
    if labelled_member(server):
        return _gone(UnmarkMember(target=master.name, server_id=server.id))
    emptied = emptying(context, node, Scope.CONTROL_PLANE, AWAY)
    return emptied or _gone(DeleteServer(target=master.name, server_id=server.id))


def _gone(step: Step) -> PlannedStep:
    return PlannedStep(step=step, scope=Scope.CONTROL_PLANE, reason=Reason.SHRINK, because=_BEYOND, consent=Prune())


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like when a master was started on the database, or came back to it."""
    if spec.database is None:
        return state
    match step:
        case StartOnDatabase():
            return with_serving_master(spec, state, step.server_id)
        case PowerOn() | StartMaster() if _is_joined_master(state, step.server_id):
            return with_serving_master(spec, state, step.server_id)
        case _:
            return state


def _is_joined_master(state: ClusterState, server_id: int) -> bool:
    return any(
        s.id == server_id and labelled_member(s) and s.labels.get(naming.LABEL_ROLE) == naming.ROLE_MASTER
        for s in state.view.servers
    )
