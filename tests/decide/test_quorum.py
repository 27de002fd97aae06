"""The arithmetic of quorum, for the worst case."""

from __future__ import annotations

from itertools import combinations

import pytest

from hetzner_k3s.decide.view import quorum
from hetzner_k3s.model.host import Member


def voters(count: int) -> tuple[Member, ...]:
    return tuple(Member(id=str(i), name=f"m{i}", peer_urls=(), learner=False) for i in range(count))


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)])
def test_a_majority_is_more_than_half(count: int, expected: int) -> None:
    assert quorum.majority(count) == expected


@pytest.mark.parametrize("count", range(1, 8))
def test_a_removal_leaves_a_quorum_of_healthy_voters_before_and_after(count: int) -> None:
    members = voters(count)
    ids = [m.id for m in members]
    for alive in (frozenset(c) for n in range(count + 1) for c in combinations(ids, n)):
        for victim in ids:
            left = len(alive - {victim})
            allowed = quorum.can_remove(members, alive, victim).ok
            assert not allowed or (victim not in alive and left * 2 > count and left * 2 > count - 1)


@pytest.mark.parametrize(
    ("alive", "victim", "because"),
    [
        ("12", "0", "2 of 3 voters are healthy, 2 voters would be left"),
        ("1", "0", "only 1 of 3 voters are healthy: no quorum"),
        ("012", "0", "it is a healthy voter"),
        ("12", "9", "it is not in the member list"),
    ],
)
def test_the_verdict_says_why(alive: str, victim: str, because: str) -> None:
    verdict = quorum.can_remove(voters(3), frozenset(alive), victim)
    assert verdict.because == because
    assert verdict.ok == because.endswith("left")


def test_nobody_is_removed_while_another_one_learns() -> None:
    learner = Member(id="9", name="new", peer_urls=(), learner=True)
    assert quorum.can_remove((*voters(3), learner), frozenset("12"), "0").because == "another member is still a learner"
    assert quorum.can_remove((*voters(3), learner), frozenset("012"), "9").ok


def test_a_learner_is_added_only_beside_healthy_voters() -> None:
    learner = Member(id="9", name="new", peer_urls=(), learner=True)
    assert quorum.can_add(voters(2), frozenset("01")).because == "all 2 voters are healthy"
    assert quorum.can_add(voters(2), frozenset("0")).because == "not healthy: m1"
    assert quorum.can_add((*voters(2), learner), frozenset("01")).because == "another member is still a learner"


def test_a_living_member_goes_only_when_all_others_are_healthy_and_nobody_is_half_joined() -> None:
    learner = Member(id="9", name="new", peer_urls=(), learner=True)
    assert quorum.can_retire(voters(3), frozenset("012"), "2").because == (
        "the 2 others are healthy voters; 0 of them may then fail"
    )
    assert quorum.can_retire(voters(3), frozenset("01"), "2").ok
    assert quorum.can_retire(voters(3), frozenset("02"), "2").because == "not healthy: m1"
    assert quorum.can_retire(voters(1), frozenset("0"), "0").because == "it is the only member"
    assert quorum.can_retire((*voters(3), learner), frozenset("012"), "2").because == "a member is still a learner"
