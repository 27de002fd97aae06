"""A lost quorum is reset in this order, from wherever an earlier run was cut off; and its lineage is adopted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.disasters import (
    FIVE,
    MASTER4,
    MASTER5,
    disaster,
    fenced,
    held,
    of_lineage,
    resetting,
)
from tests.decide.world import (
    CREATE,
    LINEAGE,
    MASTER1,
    MASTER2,
    MASTER3,
    SPEC,
    a_spec,
    born_record,
    codes,
    edit_facts,
    edit_kube,
    edit_server,
    healthy,
    lose,
    off,
    plan,
    recorded,
    unreachable,
    verbs,
    waves,
    without_quorum,
)

from hetzner_k3s.decide.assume_waits_done import come_true
from hetzner_k3s.decide.view.stale_lineage import began_anew, belongs
from hetzner_k3s.model.consents import ResetQuorumFrom
from hetzner_k3s.model.host import EtcdFacts, HostFacts, LogPosition, UnitFacts
from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.operations.disaster import DataPrecondition
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState, Rescue
from hetzner_k3s.model.steps import AdoptLineage, HoldMaster

LOG = LogPosition(5, 900)


def rescued(state: ClusterState, name: str, log: LogPosition = LOG) -> ClusterState:
    """Lay a copy of a master's data here."""
    server = state.server(name)
    assert server is not None
    rescue = Rescue(server_id=server.id, server=name, log=log)
    return replace(state, local=replace(state.local, rescues=(rescue,)))


def both_held() -> ClusterState:
    return held(held(disaster(FIVE), MASTER4, LogPosition(5, 899)), MASTER5, LOG)


def not_listening(facts: HostFacts) -> HostFacts:
    return replace(facts, etcd=EtcdFacts())


@pytest.mark.parametrize(
    ("state", "patience"),
    [
        (without_quorum(lose(lose(healthy(), MASTER1), MASTER2)), 10.0),
        (without_quorum(unreachable(lose(healthy(), MASTER1), MASTER2)), 20.0),
        (edit_facts(without_quorum(lose(lose(healthy(), MASTER1), MASTER2)), MASTER3, not_listening), 20.0),
    ],
    ids=["both witnesses say so", "one exists and may come back", "etcd has not been heard"],
)
def test_a_loss_that_two_witnesses_tell_of_is_watched_for_one_election(state: ClusterState, patience: float) -> None:
    (refusal,) = (r for r in plan(state).refusals if r.code == "quorum.lost")
    assert (refusal.transient, refusal.patience) == (True, patience)


def test_the_whole_way() -> None:
    way = waves(disaster(FIVE), FIVE, resetting(MASTER5))
    assert way[:4] == [
        [f"HoldMaster {MASTER4}", f"HoldMaster {MASTER5}"],
        [f"FetchDatabase {MASTER5}"],
        [f"FenceMember {MASTER4}"],
        [f"ResetQuorum {MASTER5}"],
    ]
    rest = [key for wave in way[4:] for key in wave]
    assert rest[0] == "AdoptLineage prod" or "AdoptLineage prod" in way[4]
    assert {f"JoinControlPlane {name}" for name in FIVE.master_names} - set(rest) == {f"JoinControlPlane {MASTER5}"}


@pytest.mark.parametrize(
    ("state", "next_step"),
    [
        (held(disaster(FIVE), MASTER5), f"HoldMaster {MASTER4}"),
        (both_held(), f"FetchDatabase {MASTER5}"),
        (rescued(both_held(), MASTER5, LogPosition(5, 1)), f"FetchDatabase {MASTER5}"),
        (rescued(both_held(), MASTER5), f"FenceMember {MASTER4}"),
        (rescued(fenced(both_held(), MASTER4), MASTER5), f"ResetQuorum {MASTER5}"),
    ],
    ids=["one is held", "both are held", "an older copy lies here", "copied off", "fenced"],
)
def test_a_run_that_was_cut_off_is_gone_on_with(state: ClusterState, next_step: str) -> None:
    planned = plan(state, FIVE, resetting(MASTER5))
    assert verbs(planned.steps) == [next_step]
    assert planned.steps[0].consent == ResetQuorumFrom(MASTER5)


def test_equal_logs_let_either_be_named() -> None:
    state = held(held(disaster(FIVE), MASTER4), MASTER5)
    assert not plan(state, FIVE, resetting(MASTER4)).refusals
    assert not plan(state, FIVE, resetting(MASTER5)).refusals


def test_a_master_is_held_by_the_leader_that_it_was_seen_to_follow() -> None:
    steps = plan(disaster(), SPEC, resetting(MASTER3)).steps
    assert isinstance(steps[0].step, HoldMaster)
    assert steps[0].step.precondition == DataPrecondition(ca="ab12" * 16, leader=None)


@pytest.mark.parametrize(
    ("state", "spec", "held_after"),
    [
        (disaster(), SPEC, [0.0]),
        (without_quorum(lose(healthy(), MASTER1)), SPEC, [45.0, 45.0]),
        (held(without_quorum(lose(healthy(), MASTER1)), MASTER2), SPEC, [0.0]),
        (without_quorum(healthy(a_spec(1))), a_spec(1), [45.0]),
    ],
    ids=["too few run", "enough run", "one is held already", "the only one waits for members that are gone"],
)
def test_masters_that_could_elect_a_leader_are_watched_before_they_are_held(
    state: ClusterState, spec: ClusterSpec, held_after: list[float]
) -> None:
    named = spec.master_names[-1]
    steps = [p.step for p in plan(state, spec, resetting(named)).steps]
    assert [step.watched for step in steps if isinstance(step, HoldMaster)] == held_after


def test_masters_of_differing_tokens_are_not_taken_for_leaderless() -> None:
    state = without_quorum(lose(healthy(), MASTER1))
    rotated = edit_facts(state, MASTER2, lambda f: replace(f, disk=replace(f.disk, token_hash="0" * 12)))
    assert codes(rotated) == ["masters.none-healthy"]


def starting(state: ClusterState) -> ClusterState:
    """Let the survivor have been reset; it is on its way up."""

    def change(facts):  # type: ignore[no-untyped-def]
        return replace(facts, server_unit=UnitFacts(active="activating"), etcd=EtcdFacts(healthy=False))

    return of_lineage(edit_facts(disaster(), MASTER3, change), MASTER3, "2222", LINEAGE)


@pytest.mark.parametrize("intent", [CREATE, resetting(MASTER3)], ids=["without", "with the consent"])
def test_a_master_that_was_reset_is_waited_for(intent) -> None:  # type: ignore[no-untyped-def]
    planned = plan(starting(disaster()), SPEC, intent)
    assert not planned.steps
    assert not planned.refusals
    assert [w.what for w in planned.waits] == [f"{MASTER3} to serve"]
    after = come_true(SPEC, starting(disaster()))
    assert "AdoptLineage prod" in verbs(plan(after, SPEC, intent).steps)


def test_the_consent_is_no_offence_once_it_was_followed() -> None:
    after = recorded(
        edit_kube(of_lineage(healthy(), MASTER3, "2222", LINEAGE), lambda v: replace(v, lineage="2222")),
        replace(born_record(), lineage="2222", parent=LINEAGE),
    )
    assert codes(after, SPEC, resetting(MASTER3)) == []
    assert plan(after, SPEC, resetting(MASTER3)).settled


def test_what_is_off_is_started_before_anything_is_said_of_a_reset() -> None:
    state = off(disaster(FIVE), MASTER4)
    assert "quorum.lost" not in codes(state, FIVE)
    assert "consent.unfit" not in codes(state, FIVE, resetting(MASTER5))


def test_a_lineage_is_adopted_into_record_labels_and_configmap() -> None:
    state = of_lineage(healthy(), MASTER1, "2222", LINEAGE)
    steps = [p.step for p in plan(state).steps if isinstance(p.step, AdoptLineage)]
    assert [step.record for step in steps] == [replace(born_record(), lineage="2222", parent=LINEAGE)]


def test_a_lineage_is_adopted_from_the_master_that_began_it_whoever_else_is_ahead() -> None:
    """A joined master carries no note: were it asked, nothing would record the lineage, and the past would count."""
    state = edit_facts(
        of_lineage(healthy(), MASTER1, "2222", LINEAGE),
        MASTER2,
        lambda f: replace(f, etcd=replace(f.etcd, revision=f.etcd.revision + 10)),
    )
    steps = [p.step for p in plan(state).steps if isinstance(p.step, AdoptLineage)]
    assert [(step.via, step.record.lineage) for step in steps] == [(101, "2222")]


def test_a_lineage_is_adopted_although_something_is_refused() -> None:
    state = edit_facts(
        of_lineage(healthy(), MASTER1, "2222", LINEAGE),
        MASTER3,
        lambda f: replace(f, etcd=replace(f.etcd, healthy=False, leader=None, member_id=None)),
    )
    assert codes(state) == ["master.not-ready"]
    assert "AdoptLineage prod" in verbs(plan(state).steps)


def test_a_lineage_whose_configmap_was_not_written_yet_is_adopted_again() -> None:
    state = recorded(
        of_lineage(healthy(), MASTER1, "2222", LINEAGE), replace(born_record(), lineage="2222", parent=LINEAGE)
    )
    assert codes(state) == []
    assert "AdoptLineage prod" in verbs(plan(state).steps)


def test_whose_data_it_is_is_told_by_the_host_before_the_label() -> None:
    state = healthy()
    facts, server = state.facts(101), state.server(MASTER1)
    assert facts is not None
    assert server is not None
    record = BirthRecord(lineage=LINEAGE)
    for note, expected in ((None, True), (("aa", LINEAGE), True), ((LINEAGE, "aa"), True), (("aa", "bb"), False)):
        noted = facts if note is None else replace(facts, lineage=note[0], parent_lineage=note[1])
        assert belongs(noted, server, record) is expected, note
    assert not belongs(facts, server, replace(record, lineage="other"))
    assert belongs(facts, server, BirthRecord())
    assert began_anew(replace(facts, lineage="aa", parent_lineage=LINEAGE), record)
    assert not began_anew(replace(facts, lineage=LINEAGE, parent_lineage=LINEAGE), record)


def test_a_record_that_contradicts_itself_is_not_foretold_anything() -> None:
    state = edit_server(
        starting(disaster()), MASTER3, lambda s: replace(s, labels={**s.labels, "hetzner-k3s/uid": "x"})
    )
    assert come_true(SPEC, state).facts(103) == state.facts(103)


def test_a_seed_that_is_listed_under_another_masters_name_needs_no_other_proof() -> None:
    state = lose(lose(healthy(), MASTER2), MASTER3)
    assert not plan(held(without_quorum(state), MASTER1), SPEC, resetting(MASTER1)).refusals
