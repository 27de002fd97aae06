"""Gates about masters that exist and are not well: whatever they may hold, it is not ours to judge."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.disaster import quorum_reset
from hetzner_k3s.decide.identity.server_labels import restore_labels
from hetzner_k3s.decide.preflight import tokens
from hetzner_k3s.decide.repair import power
from hetzner_k3s.decide.repair.removed_member import is_former, is_of_this_cluster, may_be_wiped
from hetzner_k3s.decide.repair.silence import address_explained, cure_of_silence, known_of_silence
from hetzner_k3s.decide.rollout import masters as rollout
from hetzner_k3s.decide.view import all_lost, quorum
from hetzner_k3s.decide.view.context import DecisionContext, ServingContext, UnservedContext
from hetzner_k3s.decide.view.control_plane import MasterView, identity_of
from hetzner_k3s.decide.view.node_machine import whereabouts
from hetzner_k3s.decide.view.servers.contact import Barrier
from hetzner_k3s.decide.view.servers.k3s import K3s, holds_no_member
from hetzner_k3s.decide.view.servers.server_view import TROUBLES, Trouble
from hetzner_k3s.decide.view.voters import discarded, healthy_names, others_serve, witnesses
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.consents import Replace, ResetQuorumFrom
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import EVERY, Refusal, Way
from hetzner_k3s.model.steps import InitControlPlane


def healthy_master_left(context: UnservedContext) -> tuple[Refusal, ...]:
    """Refuse when a cluster was initialized and no healthy master answers: silence is not death."""
    record, masters = context.control_plane.record, context.control_plane.all_masters
    explained = (
        quorum_reset.is_lost(context) or quorum_reset.is_starting(context) or all_lost.all_lost(context.control_plane)
    )
    explained = explained or bool(power.awaited(context))
    if explained or all_lost.restored_master(context.control_plane):
        return ()
    born = f"The birth record says that '{context.spec.name}' was initialized (CA {(record.ca or '-')[:8]}, UID "
    born += f"{(record.uid or '-')[:8]}); "
    seen = "; ".join(f"{m.name}: {_seen(m)}" for m in masters)
    left = sum(m.server is not None for m in masters)
    keeps = not all(_is_removed(m) or all_lost.holds_no_data(m) for m in masters)
    advice = _GIVE_BACK if left >= quorum.majority(len(masters)) else _TOO_FEW_LEFT
    if not keeps:
        advice = _ONLY_REMOVED
    others = _of_another_cluster(context)
    if ours := ", ".join(m.name for m in masters if m.server and others and m.name not in others):
        advice = advice.replace(_KEEP_ALL, _KEEP_OURS.format(ours)).replace(_LOSE_NONE, _LOSE_NO_OTHER.format(ours))
    ways = () if keeps else (Way(text=_DELETE_REMOVED, deletes=frozenset(m.name for m in masters if _is_removed(m))),)
    if differing := tokens.differing(masters):
        token = Way(text=_ONE_TOKEN, starts=frozenset(m.name for m in masters if m.server))
        seen, ways = f"{seen}. {differing}", (token, Way(text=advice), *ways)
        advice = ""
    if any(m.barrier is Barrier.SILENT for m in masters):
        known, cure = known_of_silence(context)
        seen, advice = f"{seen}.{known}".removesuffix("."), f"{cure}{advice}"
    coming = sum(_has_data_and_runs(m) for m in masters)
    refusal = _no_quorum(born, seen, advice, transient=coming >= quorum.majority(len(masters)))
    kept = frozenset(m.name for m in masters if m.server and m.name not in others) if ours else EVERY
    return (replace(refusal, keeps=kept if keeps else frozenset(), ways=ways),)


def _of_another_cluster(context: DecisionContext) -> tuple[str, ...]:
    """Return the masters that answer for another cluster: `identity` says what may become of them."""
    answering = ((m.name, identity_of(m.facts)) for m in context.control_plane.all_masters if m.facts)
    return tuple(name for name, its in answering if its is not None and its.uid != context.control_plane.record.uid)


def _is_removed(master: MasterView) -> bool:
    return master.facts is not None and master.facts.disk.tombstone


def _seen(master: MasterView) -> str:
    if master.server is not None and _is_removed(master):
        return f"removed from the cluster, with its data until then ({whereabouts(master.server)})"
    if master.serves:
        return "a voter whose CA and UID are not the recorded ones, or could not be read"
    return master.described


_ONE_TOKEN = (
    "Write the newest token (whoever ran `k3s token rotate` has it; /var/lib/rancher/k3s/server/token is it where that "
    "was run) into the line `token:` of /etc/rancher/k3s/config.yaml on every master, delete "
    "/var/lib/rancher/k3s/server/cred/passwd where the log of k3s calls it newer than the datastore, and start k3s."
)
_GIVE_BACK = (
    "Power on what is off, restore SSH access and the network between the masters, then run `create` again: quorum "
    "comes back by itself when enough masters run. Delete no server meanwhile."
)
_KEEP_ALL = "Delete no server meanwhile."
_KEEP_OURS = "Keep the servers that may hold its data meanwhile: {}."
_LOSE_NONE = "Delete nothing more:"
_LOSE_NO_OTHER = "Keep the servers that may hold its data ({}):"
_TOO_FEW_LEFT = (
    "Too few masters are left for a quorum. Make those that are left answer by SSH, with the data that they had, and "
    f"run `create` again: it then says from which of them the cluster can go on (`{ResetQuorumFrom('NAME')}`). Delete "
    "nothing more: the data is on their disks, and in the snapshots in /var/lib/rancher/k3s/server/db/snapshots."
)

_ONLY_REMOVED = (
    "If a lost master can come back, bring it back. Nothing can go on from the data of one that was removed: what was "
    "written since is not in it. Copy /var/lib/rancher/k3s/server from its host if you may want to read it."
)
_DELETE_REMOVED = (
    "Then delete the server at Hetzner, and run `create` again: it says from which snapshot the cluster can be "
    "restored."
)


def _no_quorum(born: str, seen: str, you_can: str, *, transient: bool) -> Refusal:
    return Refusal(
        code="masters.none-healthy",
        saw=f"{born}no master answers as a healthy voter: {seen}.",
        why="What does not answer may hold the only copy of the data. Nothing was created, stopped or removed.",
        you_can=you_can,
        transient=transient,
    )


def masters_explained(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse while a master is in a state that only its owner can judge.

    Where no master of a cluster is healthy, the gate above tells of all: there "discard it" would be bad advice.
    """
    if power.awaited(context):
        return ()
    told = [
        (m, m.server) for m in context.control_plane.masters if m.trouble in _CODE and not _is_dealt_with(context, m)
    ]
    return tuple(
        _explained(context, master, server)
        for master, server in told
        if server is not None and not witnesses(context, master)
    )


def _is_dealt_with(context: DecisionContext, master: MasterView) -> bool:
    """Check whether something else speaks of it or deals with it (a former member: `split_brain`, or it is wiped)."""
    if isinstance(context, ServingContext) and rollout.is_seen_to(context, master):
        return True
    return master.name in discarded(context) or may_be_wiped(context, master) or is_of_this_cluster(context, master)


def left_alone(context: DecisionContext) -> tuple[str, ...]:
    """Tell of each voter that is well by its peers' word and that we cannot look at: everything else goes on."""
    if context.control_plane.record.phase is not Phase.BORN:
        return ()
    told = (
        (m, m.server, witnesses(context, m)) for m in context.control_plane.masters if m.name not in discarded(context)
    )
    return tuple(
        f"{master.name} ({whereabouts(server)}) cannot be looked at ({master.detail}); it is an etcd voter that is "
        f"well, connected to {', '.join(peers)}, so it is left alone"
        for master, server, peers in told
        if server is not None and peers
    )


def servers_are_ours(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse a server under a wanted name that somebody made by hand: nobody knows which host key it has to show."""
    wanted = [server for spec in context.spec.servers() if (server := context.server(spec.name)) is not None]
    return tuple(_by_hand(context, server) for server in wanted if _is_by_hand(context, server))


def _is_by_hand(context: DecisionContext, server: Server) -> bool:
    ours = {naming.LABEL_BOOT_KEY, naming.LABEL_HOST_KEY, naming.LABEL_STATE} & server.labels.keys()
    foreign = server.labels.get(naming.LABEL_CLUSTER) != context.spec.name
    node = context.node(server.name)
    return not foreign and not ours and not (node is not None and node.machine == server.id)


def _by_hand(context: DecisionContext, server: Server) -> Refusal:
    return Refusal(
        code="server.by-hand",
        saw=f"Server {server.name} ({whereabouts(server)}) has a name and the labels of this cluster, but was not made "
        "by this tool: its labels do not say which host key it has.",
        why="Without that no connection to it can be trusted, and the cluster's token would go to whoever answers.",
        you_can=f"If it is the cluster's, {restore_labels(context, server)}",
        ways=(Way(text=_MADE_ANEW, deletes=frozenset({server.name})),),
    )


_MADE_ANEW = "Or delete it at Hetzner and run `create` again: it is then made like any server that is missing."


def bootstrap_can_go_on(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse to go on with a birth whose first start was cut off before etcd had written anything."""
    record = context.control_plane.record
    seed = next((m for m in context.control_plane.masters if m.server and m.server.id == record.seed), None)
    if record.phase is not Phase.BOOTSTRAPPING or seed is None or not _is_half_begun(context, seed):
        return ()
    return (
        Refusal(
            code="birth.half-begun",
            saw=f"The first start of k3s on {seed.name} was cut off: its certificates are on the disk, and etcd has "
            "written nothing yet.",
            why="k3s would begin with what is left there; nothing was initialized, so a fresh start loses nothing.",
            you_can="Delete that server at Hetzner and run `create` again.",
            ways=(Way(deletes=frozenset({seed.name})),),
            transient=True,
        ),
    )


def _is_half_begun(context: DecisionContext, seed: MasterView) -> bool:
    facts = seed.facts
    if facts is None or any(key.kind is InitControlPlane for key in context.in_flight):
        return False
    unit = facts.server_unit
    stands_still = not unit.runs or unit.sub == "auto-restart" or unit.restarts > 0
    return not facts.disk.empty and holds_no_member(facts) and stands_still


def _explained(context: DecisionContext, master: MasterView, server: Server) -> Refusal:
    former = master.at_rest or is_former(context, master)
    return _former(context, master, server) if former else _troubled(context, master, server)


def _former(context: DecisionContext, master: MasterView, server: Server) -> Refusal:
    return Refusal(
        code="master.former",
        saw=f"Master {master.name} ({whereabouts(server)}) is {master.condition} ({master.detail}), and the cluster "
        f"lists no member of its name: it is a former master. Healthy voters: {healthy_names(context)}.",
        why="It holds old data; whether anybody still needs that, only you know.",
        you_can="Find out whether its data is still needed."
        + ("" if _may_go(context, master) else " Bring the other masters back first."),
        ways=_ways(context, master),
    )


def _discard(context: DecisionContext, master: MasterView) -> tuple[Way, ...]:
    """Offer to replace it, once there is a cluster to which its successor can belong."""
    if context.control_plane.record.phase is not Phase.BORN:
        return ()
    replace_it = Replace(master.name)
    told = f"If its data may go, run `create {replace_it}`: its server is deleted, and another one takes its place."
    return (Way(text=told, deletes=frozenset({master.name}), consent=replace_it),)


_CODE: dict[Trouble | None, str] = {
    Barrier.OFF: "master.former",
    K3s.STOPPED: "master.former",
    Barrier.SILENT: "master.unreachable",
    Barrier.REBUILT: "master.rebuilt",
    Barrier.DETACHED: "master.not-ready",
    K3s.SICK: "master.not-ready",
}
"""Of the other troubles `identity` speaks of KEY_CHANGED and DENIED, and `power` waits for what is CHANGING."""
assert _CODE.keys() | {Barrier.KEY_CHANGED, Barrier.DENIED, Barrier.CHANGING} == TROUBLES

_FIND_OUT = "Find out who rebuilt it. "
_LOOK = "Look at it: `journalctl -u k3s` on its host. "


def _troubled(context: DecisionContext, master: MasterView, server: Server) -> Refusal:
    silent, rebuilt = master.barrier is Barrier.SILENT, master.barrier is Barrier.REBUILT
    known, cure = cure_of_silence(context, server) if silent else address_explained(context, master)
    return Refusal(
        code=_CODE[master.trouble],
        saw=f"Master {master.name} ({whereabouts(server)}) is {master.condition}: {master.detail}.{known} "
        f"{_healthy(context)}.",
        why="The server exists and may hold data; silence is not death, so it is neither replaced nor restarted.",
        keeps=frozenset() if _may_go(context, master) else EVERY,
        you_can=f"{cure or (_FIND_OUT if rebuilt else _LOOK)}{_not_now(context, master)}".rstrip(),
        ways=_ways(context, master),
        transient=silent or (master.not_ready and _has_data_and_runs(master)),
    )


def _healthy(context: DecisionContext) -> str:
    return (
        f"{'Masters that serve' if context.control_plane.on_database else 'Healthy voters'}: {healthy_names(context)}"
    )


def _has_data_and_runs(master: MasterView) -> bool:
    """Check whether it may get well by itself: its k3s runs or starts, and has its data."""
    facts = master.facts
    return facts is not None and (facts.disk.wal or facts.on_database) and facts.server_unit.runs


def _may_go(context: DecisionContext, master: MasterView) -> bool:
    return context.control_plane.record.phase is not Phase.BORN or others_serve(context, master)


def _is_unborn_and_new(context: DecisionContext, master: MasterView) -> bool:
    return context.control_plane.record.phase is not Phase.BORN and master.barrier is Barrier.REBUILT


_NEW_DISK = "Nothing was initialized yet, and its disk is new: delete that server at Hetzner and run `create` again."


def _ways(context: DecisionContext, master: MasterView) -> tuple[Way, ...]:
    """Return how it is replaced, unless too few healthy voters would be left without it."""
    if _is_unborn_and_new(context, master):
        return (Way(text=_NEW_DISK, deletes=frozenset({master.name})),)
    return _discard(context, master) if _may_go(context, master) else ()


def _not_now(context: DecisionContext, master: MasterView) -> str:
    if _may_go(context, master):
        return ""
    needed = quorum.majority(len(quorum.voters(context.control_plane.members)))
    return f"Delete no server now: with fewer than {needed} healthy voters the cluster stops."
