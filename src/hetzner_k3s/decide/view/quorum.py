"""Quorum arithmetic for the worst case.

See docs/architecture.md#law-5 and docs/facts/etcd.md#quorum.
"""

from __future__ import annotations

from dataclasses import dataclass

from hetzner_k3s.model.host import Member


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a change is safe, and the sentence that says why."""

    ok: bool
    because: str


def majority(voters: int) -> int:
    """Return how many of `voters` make a quorum."""
    return voters // 2 + 1


def voters(members: tuple[Member, ...]) -> tuple[Member, ...]:
    """Return the members that vote; learners do not count."""
    return tuple(m for m in members if not m.learner)


def can_remove(members: tuple[Member, ...], healthy: frozenset[str], member_id: str) -> Verdict:
    """Check whether a member may be removed: quorum must hold before, so after too, with nobody half joined.

    `healthy` are the ids of members whose own host answered that they are voters and see a leader.
    """
    if not any(m.id == member_id for m in members):
        return Verdict(False, "it is not in the member list")
    if member_id in healthy:
        return Verdict(False, "it is a healthy voter")
    if any(m.learner and m.id != member_id for m in members):
        return Verdict(False, "another member is still a learner")
    before, after = voters(members), voters(tuple(m for m in members if m.id != member_id))
    alive = sum(m.id in healthy for m in after)
    if alive < majority(len(before)):
        return Verdict(False, f"only {alive} of {len(before)} voters are healthy: no quorum")
    return Verdict(True, f"{alive} of {len(before)} voters are healthy, {len(after)} voters would be left")


def can_retire(members: tuple[Member, ...], healthy: frozenset[str], member_id: str) -> Verdict:
    """Check whether a living member may be let go: all others must be healthy voters, since fewer can then fail."""
    if any(m.learner for m in members):
        return Verdict(False, "a member is still a learner")
    left = tuple(m for m in members if m.id != member_id)
    sick = [m.name for m in left if m.id not in healthy]
    if sick or not left:
        return Verdict(False, f"not healthy: {', '.join(sick)}" if sick else "it is the only member")
    spare = len(left) - majority(len(left))
    return Verdict(True, f"the {len(left)} others are healthy voters; {spare} of them may then fail")


def can_restart(members: tuple[Member, ...], healthy: frozenset[str], member_id: str) -> Verdict:
    """Check whether a voter may be away for a while: all others must be healthy voters, and nobody half joined.

    Of two, or of a lone one, quorum is lost until it is back, and no data: both are allowed, and said.
    """
    if any(m.learner for m in members):
        return Verdict(False, "a member is still a learner")
    sick = [m.name for m in members if m.id not in healthy and m.id != member_id]
    return Verdict(not sick, f"not healthy: {', '.join(sick)}" if sick else "all others are healthy voters")


def can_add(members: tuple[Member, ...], healthy: frozenset[str]) -> Verdict:
    """Check whether a learner may be added: all voters healthy (etcd itself refuses otherwise), no learner pending."""
    if any(m.learner for m in members):
        return Verdict(False, "another member is still a learner")
    sick = [m.name for m in voters(members) if m.id not in healthy]
    if sick:
        return Verdict(False, f"not healthy: {', '.join(sick)}")
    return Verdict(True, f"all {len(members)} voters are healthy")
