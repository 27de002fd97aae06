"""`--replace`: a master that is there and not well is discarded with its user's consent, while quorum holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.world import (
    CREATE,
    MASTER1,
    MASTER2,
    MASTER3,
    SPEC,
    a_spec,
    database_deleted,
    disconnected,
    edit_facts,
    edit_server,
    healthy,
    in_order,
    joining,
    lose,
    member_id_of,
    not_ready,
    off,
    plan,
    server_id_of,
    stopped,
    unreachable,
    verbs,
    with_snapshot,
    without_member,
    without_node,
)

from hetzner_k3s.decide.repair.replace import spent
from hetzner_k3s.model.consents import Consents, Replace
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.host import DiskFacts, HostFacts, UnitFacts
from hetzner_k3s.model.plan import Intent, StepKey
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import DeleteServer, JoinControlPlane

# --- discarded on consent ---------------------------------------------------------------------------------------------

FIVE = a_spec(5, 0)
MASTER4 = "prod-master4"


def replacing(*names: str) -> Intent:
    return replace(CREATE, consents=Consents.of(*map(Replace, names)))


def _corrupt(facts: HostFacts) -> HostFacts:
    errors = (f"memberID:{member_id_of(102)} alarm:CORRUPT",)
    return replace(facts, etcd=replace(facts.etcd, errors=errors))


DEAD = disconnected(unreachable(healthy(), MASTER2), 102)
TROUBLES = {
    "unreachable": DEAD,
    "unreachable, its etcd well": unreachable(healthy(), MASTER2),
    "off": off(healthy(), MASTER2),
    "not ready": not_ready(healthy(), MASTER2),
    "stopped": stopped(healthy(), MASTER2),
    "with another host key": unreachable(healthy(), MASTER2, SshStage.HOST_KEY, "it showed the key zzzz"),
    "that lets nobody in": unreachable(healthy(), MASTER2, SshStage.AUTH, "denied"),
    "corrupt": edit_facts(healthy(), MASTER2, _corrupt),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_with_consent_its_server_is_deleted_after_a_snapshot_and_then_it_is_replaced(trouble: str) -> None:
    state, intent = TROUBLES[trouble], replacing(MASTER2)
    first = plan(state, intent=intent)
    assert verbs(first.steps)[-1] == f"SaveSnapshot pre-repair-{member_id_of(102)}"
    keys = in_order(state, intent=intent)
    ours = [key.verb for key in keys if key.target == MASTER2]
    assert ours == [
        "DeleteServer",
        "CreateServer",
        "SecureHost",
        "InstallK3s",
        "RemoveMember",
        "DeleteNode",
        "JoinControlPlane",
        "MarkMember",
    ]


def test_the_deletion_names_the_server_by_id_and_the_flag_that_permits_it() -> None:
    state = with_snapshot(DEAD, MASTER1, 102)
    (planned,) = [p for p in plan(state, intent=replacing(MASTER2)).steps if isinstance(p.step, DeleteServer)]
    assert planned.step == DeleteServer(target=MASTER2, server_id=102)
    assert planned.consent == Replace("prod-master2")
    assert "unreachable" in planned.because


def test_a_master_that_is_no_member_any_more_needs_no_snapshot() -> None:
    state = off(without_member(healthy(), 102), MASTER2)
    assert StepKey(DeleteServer, MASTER2) in {p.key for p in plan(state, intent=replacing(MASTER2)).steps}


def test_the_consent_is_used_up_by_the_deletion() -> None:
    state = with_snapshot(DEAD, MASTER1, 102)
    intent = replacing(MASTER2, MASTER3)
    steps = plan(state, intent=replacing(MASTER2)).steps
    assert spent(intent, steps).consents == Consents.of(Replace(MASTER3))
    assert spent(intent, ()) is intent


@pytest.mark.parametrize(
    "state",
    [
        lose(healthy(), MASTER2),
        joining(without_node(without_member(lose(healthy(), MASTER2), 102), MASTER2), SPEC, MASTER2, 1_000_102),
    ],
    ids=["gone", "its successor joining"],
)
def test_where_it_is_gone_already_the_repair_goes_on(state: ClusterState) -> None:
    assert in_order(state, intent=replacing(MASTER2)) == in_order(state)
    assert in_order(state)


def test_one_is_discarded_after_the_other() -> None:
    state = healthy(FIVE)
    for name in (MASTER2, MASTER4):
        state = disconnected(unreachable(state, name), server_id_of(name))
    keys = in_order(state, FIVE, replacing(MASTER2, MASTER4))
    assert [key.target for key in keys if key.verb == "DeleteServer"] == [MASTER2, MASTER4]
    assert [key.target for key in keys if key.verb == "JoinControlPlane"] == [MASTER2, MASTER4]


def test_a_join_to_a_host_with_its_old_member_listed_is_not_planned() -> None:
    state = database_deleted(healthy(), MASTER2)
    assert not [p for p in plan(state).steps if isinstance(p.step, JoinControlPlane)]


def test_a_stopped_host_without_a_disk_fact_is_no_wiped_one() -> None:
    state = edit_facts(healthy(), MASTER2, lambda f: replace(f, server_unit=UnitFacts(), etcd=f.etcd, disk=DiskFacts()))
    assert plan(edit_server(state, MASTER2, lambda s: s)).steps == ()
