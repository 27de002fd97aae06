"""Gates about who answers: host keys, CA, UID and lineage (docs/architecture.md#law-4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hetzner_k3s.decide.view import all_lost, given_up
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.decide.view.control_plane import MasterView, identity_of
from hetzner_k3s.decide.view.node_machine import whereabouts
from hetzner_k3s.decide.view.record import recorded
from hetzner_k3s.decide.view.servers.contact import Barrier
from hetzner_k3s.decide.view.sides import how_to_keep
from hetzner_k3s.decide.view.voters import discarded
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.consents import AcceptCa, Consent, Prune, Replace
from hetzner_k3s.model.host import DiskFacts, HostFacts
from hetzner_k3s.model.identity import BirthRecord, Identity
from hetzner_k3s.model.plan import Refusal, Way
from hetzner_k3s.model.state import UNREADABLE


def one_identity(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse when masters answer for two clusters, for another one than the record says, or with two CAs of one."""
    sides = _sides(context)
    record = context.control_plane.record
    if len(sides) > 1:
        return (_split(context, sides, record),)
    for side in sides:
        if len(side.cas) > 1:
            return (_rotating(side, context.control_plane.record),)
        other_ca = record.ca is not None and not side.identity.ca.startswith(record.ca)
        if other_ca or (record.uid and record.uid != side.identity.uid):
            return (_other_cluster(context, side),)
    return tuple(_other_ca(context, master.name, ca) for master, ca in _silent_strangers(context))


def was_rotated(context: DecisionContext) -> bool:
    """Check whether all that answer are the recorded cluster, and its CA is not, or not everywhere, the recorded one.

    Then no master counts as healthy before its owner has spoken, and gates that count them would mislead.
    """
    sides, record = _sides(context), context.control_plane.record
    if len(sides) != 1 or record.ca is None or not _is_recorded(sides[0], record):
        return False
    return any(not ca.startswith(record.ca) for ca in sides[0].cas)


def _silent_strangers(context: DecisionContext) -> list[tuple[MasterView, str]]:
    """Return the masters whose etcd tells nothing and whose disk holds another cluster's CA: started, it would live.

    One that was restored is started all the same: its snapshot may be from before the CA was rotated, and its UID,
    which only the running one tells, says whose it is. One that was away while the CA was rotated takes the new one
    over when it starts.
    """
    recorded, restored = context.control_plane.record.ca, all_lost.restored_master(context.control_plane)
    others = [m for m in context.control_plane.all_masters if m is not restored]
    told = [(m, m.facts.disk) for m in others if m.facts and not m.facts.restoring]
    ours = [disk for _, disk in told if disk.knows_ca(recorded)]
    return [
        (m, disk.server_ca)
        for m, disk in told
        if disk.server_ca is not None and recorded is not None and not disk.knows_ca(recorded)
        if not any(disk.shares_ca(other) for other in ours)
    ]


def _recorded_ca(context: DecisionContext) -> str:
    return (context.control_plane.record.ca or "")[:8]


def _other_ca(context: DecisionContext, name: str, ca: str) -> Refusal:
    return Refusal(
        code="identity.other",
        saw=f"The disk of {name} holds CA {ca[:8]}; the birth record says CA {_recorded_ca(context)}.",
        why="It holds data of another cluster; started, it would go on with that one.",
        you_can="Find out whose data it is.",
        ways=(*how_to_keep(context), Way(text=_IF_IT_MAY_GO, deletes=frozenset({name}))),
        rests=frozenset({name}),
    )


_IF_IT_MAY_GO = "Or, if it may go, delete the server at Hetzner and run `create` again."


@dataclass(frozen=True, slots=True)
class _Side:
    """Masters that answer for one cluster: of one UID, with one CA or with those of a rotation that is under way."""

    masters: tuple[tuple[str, HostFacts], ...]
    identity: Identity

    @property
    def newest(self) -> DiskFacts:
        """Return the disk of a master whose CA was made out of the others', as far as the bundles tell."""
        return max((facts.disk for _, facts in self.masters), key=lambda disk: len(disk.former_cas))

    @property
    def cas(self) -> dict[str, list[str]]:
        """Return the CA hashes that they answer with, and who answers with each."""
        found: dict[str, list[str]] = {}
        for name, facts in self.masters:
            found.setdefault(facts.disk.server_ca or "", []).append(name)
        return found

    @property
    def names(self) -> list[str]:
        """Return their names."""
        return [name for name, _ in self.masters]


def _sides(context: DecisionContext) -> list[_Side]:
    sides: list[_Side] = []
    for master in context.control_plane.all_masters:
        identity = identity_of(master.facts) if master.facts else None
        if master.facts is None or identity is None:
            continue
        known = next((s for s in sides if s.identity.uid == identity.uid and _is_of(s, master.facts)), None)
        if known is None:
            sides.append(_Side(((master.name, master.facts),), identity))
        else:
            sides[sides.index(known)] = _Side((*known.masters, (master.name, master.facts)), known.identity)
    return sides


def _is_of(side: _Side, facts: HostFacts) -> bool:
    return any(facts.disk.shares_ca(other.disk) or facts.votes_beside(other) for _, other in side.masters)


def _rotating(side: _Side, record: BirthRecord) -> Refusal:
    told = ", ".join(f"CA {ca[:8]} on {', '.join(names)}" for ca, names in side.cas.items())
    new = side.newest.server_ca or ""
    left = [name for name, facts in side.masters if facts.disk.server_ca != new]
    where = f"on {', then on '.join(left)}" if side.newest.former_cas else "where it was not restarted since"
    recorded = record.ca is not None and new.startswith(record.ca)
    accepting = None if recorded or not side.newest.former_cas else AcceptCa(new[:8])
    accept = f" with `{accepting}`" if accepting else ""
    return Refusal(
        code="identity.rotating",
        saw=f"The CA of this cluster is being rotated (`k3s certificate rotate-ca`): its masters answer with {told}.",
        why="A master takes the new CA over when its k3s is restarted, and what joins meanwhile would fit only some of "
        "them. No healthy k3s is restarted by this tool.",
        you_can=f"Restart k3s {where}, one master after another (`systemctl restart k3s`), and run `create` "
        f"again{accept}.",
        ways=(Way(starts=frozenset(left), consent=accepting),),
    )


def _split(context: DecisionContext, sides: list[_Side], record: BirthRecord) -> Refusal:
    told = "; ".join(
        f"CA {side.identity.ca[:8]} with kube-system UID {side.identity.uid[:8]} on {', '.join(side.names)}"
        for side in sorted(sides, key=lambda side: side.names)
    )
    recorded = [side.names for side in sides if _is_recorded(side, record)]
    known = f" The birth record names that of {', '.join(recorded[0])}." if recorded else ""
    return Refusal(
        code="identity.split",
        saw=f"Two clusters answer for '{context.spec.name}': {told}.{known}",
        why="Both may hold data that the other does not; joining anything to either would choose for you.",
        you_can=_SAY_SO,
        ways=(*how_to_keep(context), _delete_a_side(*(name for side in sides for name in side.names))),
        forbids=_UNTIL_ONE_IS_LEFT,
    )


_SAY_SO = "Look which side has your data, and say so."
_UNTIL_ONE_IS_LEFT: Final[frozenset[type[Consent]]] = frozenset({Replace, Prune})
"""Consents that count healthy masters: of which cluster, nobody knows."""


def _delete_a_side(*names: str) -> Way:
    return Way(
        text="Or delete the servers of the side that goes at Hetzner, and run `create` again: they are then replaced "
        "like lost masters.",
        deletes=frozenset(names),
    )


def _is_recorded(side: _Side, record: BirthRecord) -> bool:
    return record.uid == side.identity.uid and (record.ca is None or side.newest.knows_ca(record.ca))


def _other_cluster(context: DecisionContext, side: _Side) -> Refusal:
    record, identity = context.control_plane.record, side.identity
    if record.uid == identity.uid and side.newest.knows_ca(record.ca):
        return _rotated(context, side)
    return Refusal(
        code="identity.other",
        saw=f"What answers on {', '.join(side.names)} has CA {identity.ca[:8]}, UID {identity.uid[:8]}; the record "
        f"says CA {(record.ca or '-')[:8]}, UID {(record.uid or '-')[:8]}.",
        why="It is another cluster than the one that was initialized here.",
        you_can="Find out who made it.",
        ways=(_elsewhere(context, side.names), *((_accepting(context, side),) if identity.uid == record.uid else ())),
    )


def _rotated(context: DecisionContext, side: _Side) -> Refusal:
    accepting = AcceptCa(side.identity.ca[:8])
    obstacle = recorded(context.spec, context.state, accepting).obstacle
    return Refusal(
        code="identity.other",
        saw=f"{', '.join(side.names)} answer with the recorded UID and with CA {side.identity.ca[:8]}; the record says "
        f"CA {_recorded_ca(context)}. The new CA was made out of the recorded one: this cluster's CA was "
        "rotated (`k3s certificate rotate-ca`).",
        why="Only its owner knows whether that was meant.",
        you_can=f"If you rotated it, say so with `{accepting}`: the record, the tokens on masters and workers and the "
        "kubeconfig are then written anew, and nothing that runs is restarted for that."
        if obstacle is None
        else _WHEN_IT_FITS.format(obstacle),
        ways=(Way(consent=accepting),) if obstacle is None else (),
    )


_WHEN_IT_FITS = "If you rotated it, that can be accepted when all else is this cluster's; but {}."


def _elsewhere(context: DecisionContext, names: list[str]) -> Way:
    """Return what to do about another cluster beside the disks of the recorded one, or where that one may be."""
    ours = [
        m.name
        for m in context.control_plane.all_masters
        if m.name not in names and m.facts and m.facts.disk.wal and _is_ours(m.facts, context.control_plane.record)
    ]
    if not ours:
        return Way(text="The servers of the recorded cluster may be in another project.")
    return Way(
        text=f"The data of the recorded cluster is on {', '.join(ours)}. If what is on {', '.join(names)} may go, "
        "delete that server at Hetzner and run `create` again.",
        deletes=frozenset(names),
    )


def _is_ours(facts: HostFacts, record: BirthRecord) -> bool:
    return facts.disk.server_ca is not None and facts.disk.server_ca.startswith(record.ca or "")


def _accepting(context: DecisionContext, side: _Side) -> Way:
    accepting = AcceptCa(side.identity.ca[:8])
    obstacle = recorded(context.spec, context.state, accepting).obstacle
    if obstacle is not None:
        return Way(text=_WHEN_IT_FITS.format(obstacle))
    return Way(
        text="If you rotated the CA of this cluster yourself, or restored a snapshot from before that, say so with "
        f"`{accepting}`.",
        consent=accepting,
    )


def one_member_list(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse when a master votes in a list that another master of the same identity does not know.

    After a quorum reset both sides have one CA and one UID (docs/facts/k3s.md#lineage).
    """
    voters = [(m.name, m.facts) for m in context.control_plane.all_masters if m.facts is not None and m.facts.voter]
    unknown = [
        (name, other)
        for name, facts in voters
        for other, its in voters
        if facts.uid == its.uid
        and facts.disk.shares_ca(its.disk)
        and its.etcd.member_id not in {member.id for member in facts.etcd.members or ()}
    ]
    return (_two_lists(context, *unknown[0]),) if unknown else ()


def _two_lists(context: DecisionContext, name: str, other: str) -> Refusal:
    return Refusal(
        code="identity.two-lists",
        saw=f"Two control planes answer for '{context.spec.name}': {other} is a voter of one, and {name} serves "
        "another one's member list.",
        why="One of them was reset or restored and the other is its past; both may hold data that the other does not.",
        you_can=f"Nothing was changed. {_SAY_SO}",
        ways=(*how_to_keep(context), _delete_a_side(name, other)),
        forbids=_UNTIL_ONE_IS_LEFT,
    )


def hosts_are_known(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse when a host answers with a key that is not its own, or does not let us in."""
    shut = [m for m in context.control_plane.masters if m.barrier in {Barrier.KEY_CHANGED, Barrier.DENIED}]
    gone = discarded(context)
    return tuple(_shut(m, m.server) for m in shut if m.server is not None and m.name not in gone)


def _shut(master: MasterView, server: Server) -> Refusal:
    changed = master.barrier is Barrier.KEY_CHANGED
    return Refusal(
        code="host.key-changed" if changed else "host.denied",
        saw=f"Master {master.name} ({whereabouts(server)}) {master.condition}: {master.detail}.",
        why="Another machine may answer at that address, so nothing was sent to it."
        if changed
        else "Without a session its state is unknown, and unknown is not absent.",
        ways=(Way(text=_IF_LOST, deletes=frozenset({master.name})),) if changed else (),
        you_can="Look through Hetzner's console which machine it is, and give it its old host key back."
        if changed
        else "Give the key of networking.ssh that this server was made with, or let it in again (authorized_keys "
        "of root).",
    )


_IF_LOST = "If it is lost, delete the server at Hetzner and run `create` again."


def kubeconfig_fits(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse to overwrite the kubeconfig of another cluster of the same name."""
    have = context.state.local.kubeconfig_ca
    gateway = context.control_plane.gateway
    live = gateway.facts.disk.server_ca if gateway else None
    if have is None or gateway is None or live is None or gateway.facts.disk.knows_ca(have):
        return ()
    if given_up.gives_up(context, have) or _accepted(context, live):
        return ()
    return (
        Refusal(
            code="kubeconfig.other-cluster",
            saw=f"{context.spec.kubeconfig_path} {holds_ca(have)}; "
            f"the cluster '{context.spec.name}' that answers has CA "
            f"{live[:8]}.",
            why="Writing it would take away the access to the other cluster.",
            you_can="Move that file away, or correct kubeconfig_path or the Hetzner token.",
        ),
    )


def _accepted(context: DecisionContext, ca: str) -> bool:
    """Check whether the user vouched for this CA: what holds an earlier one is not another cluster's for that."""
    accepted = context.consents.get(AcceptCa)
    return accepted is not None and context.control_plane.ca_obstacle is None and accepted.vouches_for(ca)


def holds_ca(kubeconfig_ca: str) -> str:
    """Return what a kubeconfig holds, in a clause that follows its path."""
    if kubeconfig_ca == UNREADABLE:
        return "is there and cannot be read as a kubeconfig"
    return f"holds contexts of a cluster of this name with CA {kubeconfig_ca[:8]}"


def agents_fit(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse when a worker belongs to another cluster's CA; one from before a rotation keeps it until its restart.

    While no master is healthy nobody has a token to give it, and it may hold the one that opens the snapshots.
    """
    recorded, gateway = context.control_plane.record.ca, context.control_plane.gateway
    if recorded is None or gateway is None or _accepted(context, recorded):
        return ()
    master = gateway.facts.disk
    return tuple(
        _stranger(server.name, facts.disk.agent_ca or "", recorded)
        for server in lookup.owned_servers(context.spec.name, context.view)
        if (facts := context.state.facts(server.id)) and facts.disk.agent_ca and facts.disk.server_ca is None
        if not facts.disk.trusts(master) and not given_up.left_over(context, facts)
    )


def _stranger(name: str, ca: str, recorded: str) -> Refusal:
    return Refusal(
        code="identity.agent",
        saw=f"{name} holds the CA {ca[:8]} of another cluster; the birth record says {recorded[:8]}.",
        why="It may run workloads of that cluster.",
        you_can="If the CA of this one was rotated, write the token as a master has it now "
        "(/var/lib/rancher/k3s/server/agent-token) into the line `token:` of /etc/rancher/k3s/config.yaml there, since "
        "the old one names the old CA, and restart k3s (`systemctl restart k3s-agent`). Then run `create` again.",
        ways=(Way(text="If its cluster is gone, delete or rebuild that server first.", deletes=frozenset({name})),),
    )
