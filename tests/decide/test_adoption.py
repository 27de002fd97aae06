"""A cluster of hetzner-k3s 2.x before, while and after it is adopted: what is recorded, and what is never done."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.oddities import adopting, introduced_by_2x, met_otherwise
from tests.decide.world import (
    CA,
    CREATE,
    MASTER1,
    MASTER2,
    MASTER3,
    OTHER_CA,
    OTHER_UID,
    SPEC,
    WORKER1,
    codes,
    edit_facts,
    forecast,
    healthy,
    plan,
    server_id_of,
    verbs,
)

from hetzner_k3s.decide.forecast import predict
from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import Adopt
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.host import EtcdFacts
from hetzner_k3s.model.hosts.origin import Introduction
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import AdoptCluster


def step_of(state: ClusterState) -> AdoptCluster:
    (planned,) = plan(state, SPEC, adopting()).steps
    assert isinstance(planned.step, AdoptCluster)
    return planned.step


def afterwards() -> ClusterState:
    state = introduced_by_2x()
    return replace(predict(SPEC, state, step_of(state)), kube=healthy().kube)


def test_it_is_one_step_that_records_who_answered() -> None:
    step = step_of(introduced_by_2x())
    assert dict(step.host_keys) == {server_id_of(s.name): f"key-of-{s.name}" for s in SPEC.servers()}
    assert (step.record.ca, step.record.lineage) == (CA[: naming.CA_LABEL_DIGITS], None)
    assert step.record.seed == server_id_of(MASTER1)
    assert forecast(introduced_by_2x(), SPEC, adopting()).waves[0][0].consent == Adopt(CA[:8])


def test_nothing_is_done_beside_it_nor_after_it_in_that_run() -> None:
    assert [verbs(wave) for wave in forecast(introduced_by_2x(), SPEC, adopting()).waves] == [["AdoptCluster prod"]]
    lost = afterwards()
    lost = replace(lost, hosts={k: v for k, v in lost.hosts.items() if k != server_id_of(MASTER3)})
    told = plan(lost, SPEC, adopting())
    assert told.steps == ()
    assert f"not as the file wants them: {MASTER3} (unreachable)" in told.degraded


def test_without_the_consent_nothing_of_it_is_touched() -> None:
    told = plan(introduced_by_2x())
    assert (told.steps, told.waits) == ((), ())
    assert f"create --adopt {CA[:8]}" in told.refusals[0].you_can


def other_ca(met: Introduction) -> Introduction:
    return replace(met, facts=replace(met.facts, disk=replace(met.facts.disk, server_ca=OTHER_CA)))


def other_uid(met: Introduction) -> Introduction:
    return replace(met, facts=replace(met.facts, etcd=replace(met.facts.etcd, uid=OTHER_UID)))


def other_key(met: Introduction) -> Introduction:
    return replace(met, known=("another-key",))


@pytest.mark.parametrize("change", [other_ca, other_uid, other_key])
def test_one_master_that_does_not_fit_forbids_it(change: object) -> None:
    state = met_otherwise(introduced_by_2x(), MASTER2, change)  # type: ignore[arg-type]
    assert codes(state, SPEC, adopting()) == ["cluster.of-2x"]
    assert plan(state, SPEC, adopting()).refusals[0].ways == ()


def test_without_a_voter_it_is_no_cluster_that_could_be_recorded() -> None:
    state = introduced_by_2x()
    for name in SPEC.master_names:
        state = met_otherwise(state, name, lambda m: replace(m, facts=replace(m.facts, etcd=EtcdFacts(healthy=False))))
    (refusal,) = plan(state, SPEC, adopting()).refusals
    assert "no master answers as a voter" in refusal.saw
    assert refusal.transient


def test_a_worker_that_is_silent_is_left_out_and_named() -> None:
    state = introduced_by_2x()
    number = server_id_of(WORKER1)
    silent = replace(state, strangers={**state.strangers, number: Unknown("no answer", 0.0)})
    assert number not in dict(step_of(silent).host_keys)
    assert f"Not reached: {WORKER1} (no answer)" in plan(silent).refusals[0].saw


def test_afterwards_a_cluster_of_2x_is_up_to_date_but_for_this_machine() -> None:
    state = replace(afterwards(), local=healthy().local)
    assert {verb.partition(" ")[0] for verb in verbs(plan(state).steps)} <= {"KeepTokens"}
    assert all(s.labels[naming.LABEL_ADOPTED] for s in state.view.servers)


def test_a_voter_whose_unit_is_of_2x_keeps_what_its_unit_says() -> None:
    """No `server:` line, no pinned token: there is no file of ours to write them into."""
    state = replace(afterwards(), local=healthy().local)
    assert not any("MarkMember" in verb or "RenewToken" in verb for verb in verbs(plan(state).steps))


def test_an_earlier_token_beside_its_unit_is_named_and_left() -> None:
    stale = edit_facts(
        afterwards(), MASTER2, lambda f: replace(f, disk=replace(f.disk, environment_token_hash="f" * 12))
    )
    for name in SPEC.master_names:
        stale = edit_facts(stale, name, lambda f: replace(f, etcd=replace(f.etcd, bootstrap_keys=("a" * 12,))))
        stale = edit_facts(stale, name, lambda f: replace(f, disk=replace(f.disk, token_hash="a" * 12)))
    told = plan(stale, SPEC, CREATE)
    assert any(MASTER2 in note and "k3s.service.env" in note for note in told.notes)
    assert not any("RenewToken" in verb for verb in verbs(told.steps))


def test_known_keys_that_agree_are_said_to() -> None:
    state = met_otherwise(introduced_by_2x(), MASTER1, lambda met: replace(met, known=(met.key,)))
    assert "as your known_hosts has it" in plan(state).refusals[0].saw
    assert isinstance(state.strangers[server_id_of(MASTER1)], Known)
