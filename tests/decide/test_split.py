"""Of two clusters under one name the one that the user names is kept, and the other is fenced, host by host."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.disasters import held, labelled_lineage, of_lineage
from tests.decide.oddities import reset_on
from tests.decide.test_disaster import rescued
from tests.decide.world import (
    CREATE,
    FIRST_MASTER,
    LINEAGE,
    MASTER1,
    MASTER2,
    MASTER3,
    OTHER_CA,
    OTHER_UID,
    SPEC,
    UID,
    born_record,
    codes,
    edit_facts,
    healthy,
    joining,
    lose,
    member_id_of,
    other_identity,
    plan,
    recorded,
    replacement_of,
    verbs,
    without_member,
    without_quorum,
)

from hetzner_k3s.decide.disaster.split_brain import is_fencing
from hetzner_k3s.decide.view.context import context_of
from hetzner_k3s.decide.view.sides import digits, sides
from hetzner_k3s.model.consents import Consents, Keep
from hetzner_k3s.model.host import EtcdFacts, HostFacts, LogPosition, UnitFacts
from hetzner_k3s.model.plan import Intent
from hetzner_k3s.model.state import ClusterState

CA8 = ("ab12" * 16)[:8]


def keep(what: str) -> Intent:
    return replace(CREATE, consents=Consents.of(Keep(what)))


def silent(state: ClusterState, name: str) -> ClusterState:
    """Let a master's k3s wait for ever, its data on its disk."""
    return edit_facts(
        state, name, lambda f: replace(f, server_unit=UnitFacts(active="activating"), etcd=EtcdFacts(healthy=False))
    )


def former(state: ClusterState, name: str, server_id: int) -> ClusterState:
    """Let the living list not know a master that has its data."""
    return without_member(silent(state, name), server_id)


def hexadecimal(server_id: int) -> str:
    return f"{server_id:x}".ljust(8, "7")


def told_apart(state: ClusterState) -> ClusterState:
    """Give the members ids as etcd draws them: those of the other tests begin alike."""
    new = {member_id_of(n): str(int(f"{hexadecimal(n)}00000000", 16)) for n in (101, 102, 103)}

    def change(facts: HostFacts) -> HostFacts:
        etcd = facts.etcd
        members = tuple(replace(m, id=new[m.id]) for m in etcd.members or ()) or None
        peers = tuple(new[peer] for peer in etcd.active_peers)
        me, leader = (new.get(i or "") for i in (etcd.member_id, etcd.leader))
        return replace(facts, etcd=replace(etcd, members=members, active_peers=peers, member_id=me, leader=leader))

    for name in SPEC.master_names:
        state = edit_facts(state, name, change)
    return state


SPLITS = {
    "by CA": (other_identity(healthy(), MASTER3), CA8),
    "by UID alone": (other_identity(healthy(), MASTER3, ca="ab12" * 16), UID[:8]),
    "by member list alone": (told_apart(reset_on(healthy(), MASTER3)), hexadecimal(FIRST_MASTER)),
    "a silent host of another CA": (
        edit_facts(silent(healthy(), MASTER3), MASTER3, lambda f: replace(f, disk=replace(f.disk, server_ca=OTHER_CA))),
        CA8,
    ),
    "a silent host of another lineage": (of_lineage(silent(healthy(), MASTER3), MASTER3, "9999", "8888"), LINEAGE[:8]),
    "a member that came back after a reset": (told_apart(former(healthy(), MASTER3, 103)), hexadecimal(FIRST_MASTER)),
}


@pytest.mark.parametrize("name", SPLITS)
def test_a_side_is_named_by_what_tells_it_from_the_other(name: str) -> None:
    state, named = SPLITS[name]
    found = sides(context_of(SPEC, state, CREATE, frozenset()))
    assert [side.names for side in found] == [f"{MASTER1}, {MASTER2}", MASTER3]
    assert digits(found[0], found) == named


WIPED = {"a member that came back after a reset"}
"""Beside a majority of the masters that the file wants its data is old, and is put aside without a question."""


@pytest.mark.parametrize("name", sorted(SPLITS.keys() - WIPED))
def test_without_the_consent_it_is_refused_and_the_way_is_shown(name: str) -> None:
    state, named = SPLITS[name]
    if name == "a member that came back after a reset":
        state = told_apart(former(former(healthy(), MASTER3, 103), MASTER2, 102))  # with a majority it is merely former
    refusals = plan(state).refusals
    assert any(f"create --keep {named}" in refusal.you_can for refusal in refusals)


@pytest.mark.parametrize("name", SPLITS)
def test_the_other_side_is_held_copied_off_and_fenced_and_nothing_else_is_done(name: str) -> None:
    state, named = SPLITS[name]
    first = plan(state, SPEC, keep(named))
    assert verbs(first.steps) == [f"HoldMaster {MASTER3}"]
    assert first.steps[0].consent == Keep(named)
    stopped = held(state, MASTER3)
    assert verbs(plan(stopped, SPEC, keep(named)).steps) == [f"FetchDatabase {MASTER3}"]
    copied = rescued(stopped, MASTER3, LogPosition(5, 900))
    assert verbs(plan(copied, SPEC, keep(named)).steps) == [f"FenceMember {MASTER3}"]


def test_data_whose_log_cannot_be_read_is_fenced_all_the_same() -> None:
    state = held(other_identity(healthy(), MASTER3), MASTER3, None)
    assert verbs(plan(state, SPEC, keep(CA8)).steps) == [f"FenceMember {MASTER3}"]


def test_of_several_the_leader_stops_last() -> None:
    state = told_apart(reset_on(healthy(), MASTER3))
    named = hexadecimal(103)
    assert verbs(plan(state, SPEC, keep(named)).steps) == [f"HoldMaster {MASTER2}"]
    assert sorted(verbs(plan(held(state, MASTER2), SPEC, keep(named)).steps)) == [
        f"FetchDatabase {MASTER2}",
        f"HoldMaster {MASTER1}",
    ]


@pytest.mark.parametrize(
    ("state", "named"),
    [
        (other_identity(healthy(), MASTER3), "00000000"),
        (other_identity(healthy(), MASTER3), OTHER_CA[:8]),
        (other_identity(healthy(), MASTER3, ca="ab12" * 16), CA8),
        (other_identity(healthy(), MASTER3, ca="ab12" * 16), OTHER_UID[:8]),
        (SPLITS["a silent host of another CA"][0], OTHER_CA[:8]),
        (healthy(), "00000000"),
        (without_quorum(lose(lose(healthy(), MASTER1), MASTER2)), CA8),
    ],
    ids=[
        "nobody's digits",
        "a side that the record does not name",
        "digits of both",
        "a UID that the record does not name",
        "a side that does not live",
        "nobody's digits, and one cluster",
        "nobody lives",
    ],
)
def test_digits_that_do_not_fit_are_refused(state: ClusterState, named: str) -> None:
    assert "consent.unfit" in codes(state, SPEC, keep(named))
    assert not plan(state, SPEC, keep(named)).steps


def test_the_consent_is_no_offence_once_it_was_followed() -> None:
    assert plan(healthy(), SPEC, keep(CA8)).settled


@pytest.mark.parametrize(
    "state",
    [
        healthy(),
        silent(healthy(), MASTER3),
        joining(lose(healthy(), MASTER3), SPEC, MASTER3, replacement_of(MASTER3)),
    ],
    ids=["well", "a member that does not answer", "a master that joins"],
)
def test_what_is_one_cluster_is_not_taken_for_two(state: ClusterState) -> None:
    assert not is_fencing(context_of(SPEC, state, keep(CA8), frozenset()))
    assert len(sides(context_of(SPEC, state, CREATE, frozenset()))) == 1


def test_a_label_of_another_lineage_is_a_side_of_its_own() -> None:
    state = recorded(healthy(), replace(born_record(), lineage="2222", parent=LINEAGE))
    past = labelled_lineage(silent(without_member(state, 103), MASTER3), MASTER3, LINEAGE)
    assert "master.past" in codes(past)
    assert verbs(plan(past, SPEC, keep("2222")).steps) == [f"HoldMaster {MASTER3}"]


def test_no_way_is_shown_where_the_record_knows_neither_side() -> None:
    state = recorded(other_identity(healthy(), MASTER3), replace(born_record(), uid="another"))
    split = next(r for r in plan(state).refusals if r.code == "identity.split")
    assert "--keep" not in split.you_can
