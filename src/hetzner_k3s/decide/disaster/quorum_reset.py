"""Quorum lost: what is left, what became of the others, and the reset that the user may consent to.

The order is that of docs/facts/recovery.md#reset-order: every member that can be reached is stopped and masked; the
one with the longest log is copied off; every other one is proven gone or its data is moved aside; then one is made
the only member. Nothing of it happens without `ResetQuorumFrom`. Each step is planned from what the hosts say, so a
run that was killed is gone on with by the same command.
"""

from __future__ import annotations

from hetzner_k3s.decide.disaster.quarantine import fence, hold, is_rescued, left_held
from hetzner_k3s.decide.lifecycle.bootstrap import found_servers
from hetzner_k3s.decide.preflight import tokens
from hetzner_k3s.decide.view import all_lost, predictions, quorum, stale_lineage
from hetzner_k3s.decide.view.consent_mismatch import unfit
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext, UnservedContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.node_machine import whereabouts
from hetzner_k3s.decide.view.servers.contact import Barrier
from hetzner_k3s.decide.view.servers.k3s import K3s
from hetzner_k3s.decide.view.sides import Survivor
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.consents import Keep, ResetQuorumFrom
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import HostFacts, LogPosition
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.plan import PATIENCE, PlannedStep, Reason, Refusal, Scope, Wait, Way
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import FetchDatabase, ResetQuorum, Step

_WATCHED = 45.0  # k3s may end without a leader: its etcd is back after 20 s, and an election takes 9 more
"""Seconds for which masters that are enough for a quorum must find no leader: several elections.

See docs/facts/etcd.md#raft-clock.
"""

START_DEADLINE = 180.0
"""Seconds given to a master to serve again after its reset (8 s were seen: docs/facts/k3s.md#timings)."""


def survivors(context: DecisionContext) -> tuple[Survivor, ...]:
    """Return the masters that hold data of the recorded cluster and answer, healthy or not.

    One that the cluster removed is none: etcd would go on from its data as a member without a peer address. Nor is one
    that has another cluster's data: after a second birth by hand CA, token and etcd's cluster id are the same, and a
    longer log would win (docs/facts/k3s.md#lineage).
    """
    found = ((m, m.server, m.facts) for m in context.control_plane.all_masters)
    return tuple(
        Survivor(master, server, facts)
        for master, server, facts in found
        if server
        and facts
        and facts.disk.wal
        and not all_lost.is_being_restored(master)
        and not facts.disk.tombstone
        and stale_lineage.belongs(facts, server, context.control_plane.record)
        and not _is_anothers(facts, context.control_plane.record)
    )


def _is_anothers(facts: HostFacts, record: BirthRecord) -> bool:
    return facts.stored_uid is not None and record.uid is not None and facts.stored_uid != record.uid


def is_lost(context: UnservedContext) -> bool:
    """Check whether quorum is lost and does not come back by itself, as far as we can see.

    What is powered off or stopped is started first; one that was just reset is starting.
    """
    if _starting(context):
        return False
    left = survivors(context)
    if not left or any(_is_started_first(m) for m in context.control_plane.all_masters):
        return False
    return any(s.facts.held for s in left) or not _enough_run(context) or _is_leaderless(context)


def _enough_run(context: DecisionContext) -> bool:
    runs = sum(s.facts.server_unit.runs for s in survivors(context))
    return runs >= quorum.majority(len(context.control_plane.all_masters))


def _is_leaderless(context: DecisionContext) -> bool:
    """Check whether some masters are proven gone, and etcd on those that are left says that it has no leader.

    That is an election, a network that is cut, or for good: the members it waits for are gone. Nothing tells which, so
    they are watched before any of them is stopped. One that k3s cannot start says nothing (its token may be an earlier
    one).
    """
    left, masters = survivors(context), context.control_plane.all_masters
    told, names = {s.facts.etcd.healthy for s in left}, {s.name for s in left}
    others = [m for m in masters if m.name not in names]
    if any(_not_proven_gone(context, m) for m in others) or not (others or len(left) == 1):
        return False
    return False in told and True not in told and tokens.differing(masters) is None


def _is_started_first(master: MasterView) -> bool:
    return master.at_rest or master.barrier is Barrier.CHANGING


def is_starting(context: UnservedContext) -> bool:
    """Check whether a master was reset and does not serve yet."""
    return bool(_starting(context))


def _starting(context: UnservedContext) -> list[Survivor]:
    record = context.control_plane.record
    return [s for s in survivors(context) if stale_lineage.began_anew(s.facts, record) and not s.facts.held]


# --- what is refused


def quorum_lost(context: UnservedContext) -> tuple[Refusal, ...]:
    """Refuse when quorum is lost, or when the reset that was consented to could lose data or leave a second cluster."""
    if not is_lost(context):
        return ()
    reset = context.consents.get(ResetQuorumFrom)
    if reset is None:
        return (_lost(context),)
    named = _named(context, reset)
    if named is None:
        return ()  # the consent is refused as unfit
    told = ((m.name, _not_proven_gone(context, m)) for m in context.control_plane.all_masters)
    open_fates = {name: text for name, text in told if text is not None}
    open_fates |= {
        s.name: f"{whereabouts(s)} in the private network is not known to us ({s.name})" for s in _strangers(context)
    }
    if open_fates:
        return (_unsafe(context, reset, open_fates),)
    return _behind(context, reset, named)


def held_beside_quorum(context: ServingContext) -> tuple[Refusal, ...]:
    """Refuse while a master is held back beside a quorum: the reset that it was held for did not come."""
    if context.consents.get(Keep) is not None:
        return ()
    return tuple(left_held(m.server) for m in context.control_plane.all_masters if m.server and m.k3s is K3s.HELD)


def _lost(context: DecisionContext) -> Refusal:
    left = survivors(context)
    running = any(s.facts.server_unit.runs and not s.facts.held for s in left)
    best = _furthest(left)
    what = "No leader is found" if running and _enough_run(context) else "Quorum is lost"
    cut = "the network between them is cut, mend it; if " if len(left) > 1 else ""
    return Refusal(
        code="quorum.lost",
        saw=f"{what}: of {len(context.control_plane.all_masters)} masters {len(left)} hold the cluster's data and "
        f"answer, and none sees a leader. {_fates(context)}",
        why="Every way on from here gives something up: what only the lost masters had acknowledged may be missing "
        "afterwards. Nothing was stopped, created or removed.",
        you_can=f"If {cut}a lost master can come back, bring it back: quorum returns by itself.",
        ways=(Way(text=f"Else run `create {_reset_from(best)}`: {_HOW}", consent=_reset_from(best)),),
        transient=running,
        patience=_ELECTION if _is_seen_twice(context, left) else PATIENCE,
    )


_HOW = (
    "k3s is stopped on all masters that are left, the one that you name is checked to have the longest log, its data "
    "is copied to this machine, and it goes on alone; the others join it anew."
)


def _reset_from(survivor: Survivor) -> ResetQuorumFrom:
    return ResetQuorumFrom(survivor.name)


_ELECTION = 10.0
"""Seconds for a voter that has just been started: twice its election time-out (docs/facts/etcd.md#raft-clock)."""


def _is_seen_twice(context: DecisionContext, left: tuple[Survivor, ...]) -> bool:
    """Check whether two witnesses agree: the other servers are gone, and etcd on each that is left says "no leader"."""
    gone = all(m.server is None for m in context.control_plane.all_masters if m.name not in {s.name for s in left})
    return gone and all(s.facts.etcd.healthy is False for s in left if s.facts.server_unit.runs)


def _furthest(left: tuple[Survivor, ...]) -> Survivor:
    """Return the survivor to name: by its log where it was read, else by its revision."""

    def rank(survivor: Survivor) -> tuple[LogPosition, int, int]:
        facts = survivor.facts
        return (facts.log or LogPosition(0, 0), facts.etcd.revision, -survivor.master.spec.index)

    return max(left, key=rank)


def _fates(context: DecisionContext) -> str:
    return "; ".join(f"{m.name}: {_told(context, m)}" for m in context.control_plane.all_masters) + "."


def _told(context: DecisionContext, master: MasterView) -> str:
    survivor = next((s for s in survivors(context) if s.name == master.name), None)
    if survivor is None:
        return _not_proven_gone(context, master) or _proof(master)
    log = survivor.facts.log
    if log is not None:
        return f"stopped and masked, its log ends at term {log.term}, index {log.index}"
    if survivor.facts.held:
        return "stopped and masked"
    return "has data and a leader" if survivor.facts.etcd.healthy else "has data, no leader"


def _proof(master: MasterView) -> str:
    if master.server is None:
        return "its server is deleted (a complete listing does not show it)"
    return f"its disk holds no data of the cluster ({whereabouts(master.server)})"


def _not_proven_gone(context: DecisionContext, master: MasterView) -> str | None:
    """Return why a former member that holds no data we can reach may still have some.

    None where it is gone, or held.
    """
    server, facts = master.server, master.facts
    if server is None:
        return _hidden_seed(context, master)
    if facts is None:
        return f"{master.described}, {whereabouts(server)}"
    if facts.disk.wal and _is_anothers(facts, context.control_plane.record):
        return f"holds data of another cluster (kube-system UID {(facts.stored_uid or '')[:8]}), {whereabouts(server)}"
    if not facts.disk.wal or stale_lineage.belongs(facts, server, context.control_plane.record):
        return None
    return f"holds data of another lineage, {whereabouts(server)}"


def _hidden_seed(context: DecisionContext, master: MasterView) -> str | None:
    """Ask for the one master whose id is recorded: a page that is missing is not an absence."""
    seed = context.control_plane.record.seed
    if seed is None or any(s.id == seed for s in context.view.servers):
        return None
    if (
        context.state.lookups.get(seed) == Known(False)
        or master.spec.index != context.control_plane.all_masters[0].spec.index
    ):
        return None
    return f"whether server {seed} still exists could not be proven"


def _strangers(context: DecisionContext) -> list[Server]:
    """Return the servers of our network that are neither wanted nor workers.

    One could be a master under another name.
    """
    wanted = {s.name for s in (*context.spec.servers(), *context.control_plane.all_masters)}
    worker = naming.ROLE_WORKER
    found = found_servers(context.spec, context.view)
    return [s for s in found if s.name not in wanted and s.labels.get(naming.LABEL_ROLE) != worker]


def _unsafe(context: DecisionContext, reset: ResetQuorumFrom, open_fates: dict[str, str]) -> Refusal:
    return Refusal(
        code="quorum.reset-unsafe",
        saw=f"{reset} was given, but not every other master is proven gone: {'; '.join(open_fates.values())}. "
        f"{_fates(context)}",
        why="A master that comes back later, with others of its kind, would live on as a second cluster with the same "
        "identity. Powered off is not gone. No data was changed.",
        you_can="Restore access to it, so that its data can be moved aside, and run the same command again.",
        ways=(Way(text="Or, if its data may go, delete its server at Hetzner first.", deletes=frozenset(open_fates)),),
    )


def _behind(context: DecisionContext, reset: ResetQuorumFrom, named: Survivor) -> tuple[Refusal, ...]:
    """Refuse when another survivor's log is ahead, or when a log could not be read."""
    left = survivors(context)
    if not all(s.facts.held for s in left):
        return ()
    logs = {s.name: s.facts.log for s in left}
    if any(log is None for log in logs.values()):
        return (_unreadable(context, sorted(name for name, log in logs.items() if log is None)),)
    best = _furthest(left)
    if (named.facts.log or LogPosition(0, 0)) >= (best.facts.log or LogPosition(0, 0)):
        return ()
    return (
        Refusal(
            code="quorum.reset-behind",
            saw=f"{reset} was given, but the log of {best.name} is ahead of that of {reset.named}. {_fates(context)}",
            why="Going on from the shorter one would lose what the other holds. k3s is stopped on the masters that are "
            "left; no data was changed.",
            you_can=f"Run `create {_reset_from(best)}`.",
            ways=(Way(consent=_reset_from(best)),),
        ),
    )


def _unreadable(context: DecisionContext, names: list[str]) -> Refusal:
    return Refusal(
        code="quorum.log-unreadable",
        saw=f"How far the etcd log of {', '.join(names)} goes could not be read. {_fates(context)}",
        why="Without it nobody knows whose data is the newest, and going on from the wrong one would lose some.",
        you_can="Look at /var/lib/rancher/k3s/server/db/etcd/member/wal on that host.",
        ways=(Way(text=_IF_DAMAGED, deletes=frozenset(names)),),
    )


_IF_DAMAGED = "If its data is damaged, delete the server at Hetzner and run the same command again."


def reset_fits(context: DecisionContext, reset: ResetQuorumFrom) -> tuple[Refusal, ...]:
    """Refuse the consent where quorum is not lost, or the one that is named has nothing to go on from."""
    if any(_is_started_first(m) for m in context.control_plane.all_masters):
        return ()
    master = next((m for m in context.control_plane.all_masters if m.name == reset.named), None)
    if master is None:
        return (unfit(reset, "The cluster has no such master.", "Name one that the file or `status` names."),)
    if (nothing := _nothing_to_reset(context)) is not None:
        return (unfit(reset, nothing, "Run `create` without that option."),)
    if isinstance(context, UnservedContext) and is_lost(context):
        return () if _named(context, reset) is not None else (_has_no_data(context, reset, master),)
    if master.facts is not None and master.facts.lineage is not None and not master.facts.held:
        return ()  # it was reset from already; what is left to do is the ordinary way
    if context.control_plane.gateway is not None:
        return (unfit(reset, f"Quorum is not lost. {_fates(context)}", "Run `create` without that option."),)
    saw = "Enough masters for a quorum run with their data, and it comes back when they reach one another. "
    names = frozenset(m.name for m in context.control_plane.all_masters if m.server)
    lost = Way(text="Or delete the servers that are really lost.", deletes=names)
    return (unfit(reset, saw + _fates(context), "Repair the network between them.", lost),)


def _nothing_to_reset(context: DecisionContext) -> str | None:
    if context.control_plane.record.phase is not Phase.BORN:
        return "No cluster is recorded as initialized here."
    if context.control_plane.gateway is None and not survivors(context):
        return f"No master that can be reached holds the cluster's data. {_fates(context)}"
    return None


def _has_no_data(context: DecisionContext, reset: ResetQuorumFrom, master: MasterView) -> Refusal:
    names = ", ".join(s.name for s in survivors(context))
    saw = f"Quorum is lost, but on {master.name} there is no data that can be reached: {_told(context, master)}."
    return unfit(reset, saw, f"Name a master that has data and answers: {names}.")


def _named(context: DecisionContext, reset: ResetQuorumFrom) -> Survivor | None:
    return next((s for s in survivors(context) if s.name == reset.named), None)


# --- what is done


def reset_quorum(context: UnservedContext) -> Proposal | None:
    """Lead a cluster without quorum to one member that goes on, where the user named it."""
    if starting := _starting(context):
        because = "it was reset and is starting; the others join when it serves"
        return Proposal(
            waits=(Wait(what=f"{starting[0].name} to serve", because=because, deadline=START_DEADLINE),), alone=True
        )
    reset = context.consents.get(ResetQuorumFrom)
    named = _named(context, reset) if reset is not None else None
    if named is None or not is_lost(context):
        return None
    return Proposal(_next(context, named), alone=True)


def _next(context: DecisionContext, named: Survivor) -> tuple[PlannedStep, ...]:
    left = survivors(context)
    running = [s for s in left if not s.facts.held]
    if running:
        because = "quorum is lost; no master may go on by itself while one of them is chosen"
        watched = _WATCHED if len(running) == len(left) and _enough_run(context) else 0.0
        return tuple(_planned(named, hold(s, watched), because) for s in running)
    if (log := named.facts.log) is not None and not is_rescued(context, named):
        fetch = FetchDatabase(target=named.name, server_id=named.server.id, log=log)
        return (_planned(named, fetch, "its data is about to become the cluster's, so a copy is kept"),)
    others = [s for s in left if s.name != named.name]
    if others:
        because = f"the cluster goes on from {named.name}, and this one must never vote for its past"
        return tuple(_planned(named, fence(s), because) for s in others)
    reset = ResetQuorum(target=named.name, server_id=named.server.id, ca=named.ca, record=context.control_plane.record)
    return (_planned(named, reset, "every other member is proven gone or fenced, and its log is the longest"),)


def _planned(named: Survivor, step: Step, because: str) -> PlannedStep:
    return PlannedStep(
        step=step, scope=Scope.CONTROL_PLANE, reason=Reason.LOST, because=because, consent=_reset_from(named)
    )


# --- what it leads to


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after a quorum was reset."""
    if not isinstance(step, ResetQuorum):
        return state
    return predictions.with_only_voter(spec, state, step.server_id, step.record)
