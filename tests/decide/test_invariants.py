"""A plan that would break a law is not emitted, whichever rule made it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.world import (
    CREATE,
    DELETE,
    FIRST_MASTER,
    MASTER1,
    MASTER2,
    MASTER3,
    NOW,
    SPEC,
    UID,
    WORKER1,
    healthy,
    lose,
    member_id_of,
    nothing,
    server_id_of,
    stopped,
)

from hetzner_k3s.decide.invariants import InvariantBroken, check
from hetzner_k3s.decide.view.context import context_of
from hetzner_k3s.model.consents import Consent, Consents, Prune, Replace
from hetzner_k3s.model.facts import Unknown
from hetzner_k3s.model.operations.members import MembersPrecondition
from hetzner_k3s.model.plan import Intent, Plan, PlannedStep, Reason, Scope, StepKey
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import DeleteServer, InitControlPlane, JoinControlPlane, RemoveMember, Step

_MEMBERS = tuple(member_id_of(FIRST_MASTER + i) for i in range(3))


def removal(victim: int) -> RemoveMember:
    gateway = next(FIRST_MASTER + i for i in range(3) if i != victim)
    precondition = MembersPrecondition(ids=_MEMBERS, uid=UID)
    name = SPEC.master_names[victim]
    return RemoveMember(target=name, member_id=_MEMBERS[victim], via=gateway, precondition=precondition)


def checked(state: ClusterState, *steps: Step, intent: Intent = CREATE, in_flight: tuple[StepKey, ...] = ()) -> None:
    planned = tuple(
        PlannedStep(step=step, scope=Scope.CONTROL_PLANE, reason=Reason.LOST, because="a test says so")
        for step in steps
    )
    check(context_of(SPEC, state, intent, frozenset(in_flight)), Plan(steps=planned))


def test_a_dead_member_may_be_removed_where_the_others_vote() -> None:
    checked(lose(healthy(), MASTER3), removal(2))


@pytest.mark.parametrize("silent", [MASTER1, MASTER2])
def test_no_member_is_removed_where_too_few_would_vote(silent: str) -> None:
    with pytest.raises(InvariantBroken, match="1 of 2 voters that would be left are healthy"):
        checked(stopped(lose(healthy(), MASTER3), silent), replace(removal(2), via=other_than(silent)))


def other_than(name: str) -> int:
    return FIRST_MASTER + 1 if name == MASTER1 else FIRST_MASTER


def test_no_second_cluster_is_initialized_beside_one_that_votes() -> None:
    with pytest.raises(InvariantBroken, match=r"recorded as initialized; .*another master votes"):
        checked(healthy(), InitControlPlane(target=MASTER1, server_id=FIRST_MASTER))


def test_no_voter_is_deleted_whose_cluster_needs_it() -> None:
    step = DeleteServer(target=MASTER2, server_id=FIRST_MASTER + 1)
    alone = stopped(healthy(), MASTER1)
    with pytest.raises(InvariantBroken, match="its member is listed, and 1 of 3 voters would be left"):
        checked(alone, step)
    checked(alone, step, intent=DELETE)
    checked(healthy(), step)  # `--replace` of a master that is not well: the others are quorum enough
    checked(healthy(), DeleteServer(target=WORKER1, server_id=server_id_of(WORKER1)))


def test_nothing_is_done_where_nothing_is_listed() -> None:
    with pytest.raises(InvariantBroken, match="nothing is listed"):
        checked(replace(healthy(), cloud=Unknown("503", NOW)), DeleteServer(target=WORKER1, server_id=1))


def test_the_control_plane_changes_one_step_at_a_time() -> None:
    with pytest.raises(InvariantBroken, match=r"at once: JoinControlPlane .*, RemoveMember "):
        checked(lose(healthy(), MASTER3), removal(2), in_flight=(StepKey(JoinControlPlane, MASTER2),))
    joins = (StepKey(JoinControlPlane, MASTER2), StepKey(JoinControlPlane, MASTER3))
    checked(nothing(), in_flight=joins)


@pytest.mark.parametrize("given", [(), (Replace(MASTER2), Prune())])
def test_no_step_is_taken_by_a_consent_that_nobody_gave(given: tuple[Consent, ...]) -> None:
    intent = replace(CREATE, consents=Consents.of(*given))
    step = DeleteServer(target=MASTER3, server_id=server_id_of(MASTER3))
    planned = PlannedStep(
        step=step, scope=Scope.CONTROL_PLANE, reason=Reason.LOST, because="", consent=Replace(MASTER3)
    )
    context = context_of(SPEC, healthy(), intent, frozenset())
    with pytest.raises(InvariantBroken, match=f"nobody gave --replace {MASTER3}"):
        check(context, Plan(steps=(planned,)))
    permitted = replace(intent, consents=intent.consents.adding(Replace(MASTER3)))
    check(context_of(SPEC, healthy(), permitted, frozenset()), Plan(steps=(planned,)))
