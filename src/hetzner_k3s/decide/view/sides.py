"""Which clusters the hosts of the masters tell of: one, or the sides of a split brain, and what keeps each."""

from __future__ import annotations

from dataclasses import dataclass

from hetzner_k3s.decide.view import stale_lineage
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.servers.membership import labelled_member
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.consents import Keep
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.plan import Way

DIGITS = 8
"""How much of a hash, UID, lineage or member id a user types."""


@dataclass(frozen=True, slots=True)
class Survivor:
    """A master that holds the cluster's data and can be spoken to."""

    master: MasterView
    server: Server
    facts: HostFacts

    @property
    def name(self) -> str:
        """Return its name."""
        return self.master.name

    @property
    def ca(self) -> str:
        """Return the CA hash on its disk."""
        return self.facts.disk.server_ca or ""


@dataclass(frozen=True, slots=True)
class Side:
    """Masters that are one cluster.

    `marks` are its CA, UID and lineage, empty where unknown; `voters` the member ids (in hexadecimal) of those who
    answer, the leader first: they tell two sides apart that are equal otherwise.
    """

    masters: tuple[Survivor, ...]
    marks: tuple[str, str, str]
    voters: tuple[str, ...] = ()

    @property
    def lives(self) -> bool:
        """Check whether a voter of it answers."""
        return any(m.facts.voter for m in self.masters)

    @property
    def digits(self) -> frozenset[str]:
        """Return every eight digits by which it could be named."""
        return frozenset(mark[:DIGITS] for mark in (*self.marks, *self.voters) if mark)

    @property
    def names(self) -> str:
        """Name its masters."""
        return ", ".join(m.name for m in self.masters)


def sides(context: DecisionContext) -> tuple[Side, ...]:
    """Return the clusters that the masters' hosts tell of.

    A master that only waits for its quorum is of none of them.
    """
    holding = _holding_data(context)
    groups: list[list[Survivor]] = []
    for master in (m for m in holding if m.facts.voter):
        known = next((group for group in groups if all(_of_one_list(master, other) for other in group)), None)
        groups.append([master]) if known is None else known.append(master)
    living = [Side(tuple(group), _marks(group), _voters(group)) for group in groups]
    return (*living, *(Side((m,), _marks([m])) for m in holding if _is_silent_stranger(m, living, context)))


def _holding_data(context: DecisionContext) -> list[Survivor]:
    found = ((m, m.server, m.facts) for m in context.control_plane.all_masters)
    return [Survivor(m, s, f) for m, s, f in found if s and f and (f.disk.wal or f.disk.server_ca)]


def _of_one_list(one: Survivor, other: Survivor) -> bool:
    """Check whether two voters are of one cluster, and each knows the other."""
    of_one_ca = one.facts.disk.shares_ca(other.facts.disk) or one.facts.votes_beside(other.facts)
    same = of_one_ca and one.facts.etcd.uid == other.facts.etcd.uid
    listed = {m.id for m in one.facts.etcd.members or ()}, {m.id for m in other.facts.etcd.members or ()}
    return same and other.facts.etcd.member_id in listed[0] and one.facts.etcd.member_id in listed[1]


def _marks(group: list[Survivor]) -> tuple[str, str, str]:
    """Return a side's marks; a master that has just joined tells no lineage yet."""
    lineages = (stale_lineage.lineage_of(m.facts, m.server) for m in group)
    return (group[0].ca, group[0].facts.etcd.uid or "", next(filter(None, lineages), ""))


def _voters(group: list[Survivor]) -> tuple[str, ...]:
    ids = [m.facts.etcd.member_id or "" for m in sorted(group, key=leads, reverse=True)]
    return tuple(format(int(i), "x") if i.isdecimal() else i for i in ids)


def _is_silent_stranger(master: Survivor, living: list[Side], context: DecisionContext) -> bool:
    """Check whether a host that serves nobody holds the data of another cluster than every one that lives.

    A member that a living cluster lists and that merely does not answer is no stranger; one that it does not list any
    more is, as long as it holds data: it may be of the past of a cluster that was reset.
    """
    if master.facts.voter or not living:
        return False
    of_this_ca = [side for side in living if is_of_its_ca(side, master)]
    record = context.control_plane.record
    listed = any(_lists(side, master, context) for side in of_this_ca)
    of_the_past = master.facts.disk.wal and not stale_lineage.belongs(master.facts, master.server, record)
    joined_anew = listed and master.facts.lineage is None
    if master.facts.held or not of_this_ca or (of_the_past and not joined_anew):
        return True
    retired = master.facts.disk.tombstone  # the cluster itself removed it: k3s puts that data away before it joins
    joined = master.facts.disk.wal and not retired and labelled_member(master.server)
    return joined and not listed


def is_of_its_ca(side: Side, master: Survivor) -> bool:
    """Check whether a master's CA is the one of a side, or one was rotated into the other."""
    return any(other.facts.disk.shares_ca(master.facts.disk) for other in side.masters)


def _lists(side: Side, master: Survivor, context: DecisionContext) -> bool:
    address = context.control_plane.internal_ips.of(master.server)
    members = [m for voter in side.masters for m in voter.facts.etcd.members or ()]
    return any(m.address == address or m.node == master.name for m in members)


def digits(side: Side, among: tuple[Side, ...]) -> str:
    """Return the eight digits by which a user names a side: of the first mark in which it differs from all others.

    A mark that another side does not tell could be the same there.
    """
    others = [other for other in among if other is not side]
    told = {digits for other in others for digits in other.digits}
    for at, mark in enumerate(side.marks):
        if mark and mark[:DIGITS] not in told and all(other.marks[at] for other in others):
            return mark[:DIGITS]
    return next((voter[:DIGITS] for voter in side.voters if voter[:DIGITS] not in told), "")


def how_to_keep(context: DecisionContext) -> tuple[Way, ...]:
    """Say by which command each living side that may stay is kept; nothing without one."""
    found, record = sides(context), context.control_plane.record
    may_stay = [s for s in found if s.lives and digits(s, found) and is_recorded(s, record)]
    if len(found) < 2:
        return ()
    ways = [(Keep(digits(side, found)), side.names) for side in may_stay]
    texts = [f"`create {keep}` keeps {names}{_AND_THEN if len(ways) == 1 else '.'}" for keep, names in ways]
    texts[-1:] = [f"{last}{_IN_EACH_CASE if len(ways) > 1 else ''}" for last in texts[-1:]]
    return tuple(Way(text=text, consent=keep) for text, (keep, _) in zip(texts, ways, strict=True))


_THE_OTHERS = (
    "k3s on the other masters is stopped, their data is copied to this machine and moved aside on their disks, and "
    "they join as new ones."
)


_AND_THEN = f": {_THE_OTHERS}"


_IN_EACH_CASE = f" In each case {_THE_OTHERS}"


def is_recorded(side: Side, record: BirthRecord) -> bool:
    """Check whether a side is the recorded cluster.

    Its masters share one list, so one that is known to be is enough.
    """
    belong = any(stale_lineage.belongs(m.facts, m.server, record) for m in side.masters)
    of_its_ca = record.ca is None or any(m.facts.disk.knows_ca(record.ca) for m in side.masters)
    return of_its_ca and record.uid in {None, side.marks[1]} and belong


def leads(master: Survivor) -> bool:
    """Check whether a master leads its etcd."""
    return master.facts.etcd.member_id == master.facts.etcd.leader
