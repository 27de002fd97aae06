"""A CA that was rotated as k3s does it: the new one's bundle holds the one of before.

See docs/facts/k3s.md#ca-rotation.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.healthy import KEPT
from tests.decide.oddities import accepting, pinning, with_rotated_ca
from tests.decide.world import (
    CA,
    CLUSTER,
    CREATE,
    MASTER1,
    MASTER2,
    MASTER3,
    OTHER_CA,
    SPEC,
    UID,
    WORKER1,
    WORKER2,
    born_record,
    codes,
    disconnected,
    edit_facts,
    forecast,
    healthy,
    lose,
    plan,
    recorded,
    stopped,
    verbs,
    waves,
)

from hetzner_k3s.decide.status.report import report
from hetzner_k3s.model import naming
from hetzner_k3s.model.host import UnitFacts
from hetzner_k3s.model.plan import Refusal
from hetzner_k3s.model.report import Health
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import PinCa

NEW_RECORD = replace(born_record(), ca=OTHER_CA[: naming.CA_LABEL_DIGITS])
DESTRUCTIVE = ("elete", "ebuild", "--keep", "--new-cluster", "--reset", "--restore")


def rotated(*restarted: str) -> ClusterState:
    return with_rotated_ca(healthy(), *(restarted or SPEC.master_names))


def accepted() -> ClusterState:
    """The new CA is recorded; workers trust the one of before until they are restarted, and their tokens pin it."""
    state = recorded(pinning(pinning(rotated(), WORKER1, CA), WORKER2, CA), NEW_RECORD)
    return replace(state, local=replace(state.local, kubeconfig_ca=OTHER_CA, kept=(replace(KEPT, ca=OTHER_CA),)))


def refusals(state: ClusterState) -> tuple[Refusal, ...]:
    return plan(state).refusals


def harmless(state: ClusterState) -> None:
    """Demand that no refusal leads to the loss of a healthy server or its data."""
    assert refusals(state)
    for refusal in refusals(state):
        assert not any(word in refusal.you_can for word in DESTRUCTIVE), refusal


def test_a_rotated_ca_is_called_so_and_costs_one_word_of_its_owner() -> None:
    refusal = refusals(rotated())[0]
    assert refusal.code == "identity.other"
    assert "was rotated" in refusal.saw
    assert f"`--accept-ca {OTHER_CA[:8]}`" in refusal.you_can
    assert codes(rotated()) == ["identity.other"]
    harmless(rotated())


def test_accepted_it_is_recorded_and_every_worker_pins_it() -> None:
    state = pinning(pinning(rotated(), WORKER1, CA), WORKER2, CA)
    pins = [f"PinCa {WORKER1}", f"PinCa {WORKER2}"]
    assert waves(state, intent=accepting(OTHER_CA)) == [
        ["RecordBirth born"],
        [f"KeepTokens {CLUSTER}", *pins, f"WriteKubeconfig {SPEC.kubeconfig_path}"],
    ]


@pytest.mark.parametrize("restarted", [(MASTER1,), (MASTER3,), (MASTER1, MASTER2)])
def test_half_a_rotation_is_named_and_no_split(restarted: tuple[str, ...]) -> None:
    state = rotated(*restarted)
    assert codes(state) == ["identity.rotating"]
    left = [name for name in SPEC.master_names if name not in restarted]
    refusal = refusals(state)[0]
    assert f"Restart k3s on {', then on '.join(left)}, one master after another" in refusal.you_can
    assert f"--accept-ca {OTHER_CA[:8]}" in refusal.you_can
    harmless(state)
    assert codes(state, intent=accepting(OTHER_CA)) == ["identity.rotating", "consent.unfit"]


def test_half_a_rotation_that_was_recorded_already_is_not_accepted_again() -> None:
    state = recorded(rotated(MASTER1, MASTER2), NEW_RECORD)
    assert codes(state) == ["identity.rotating"]
    assert "--accept-ca" not in refusals(state)[0].you_can
    harmless(state)


def test_a_master_that_was_away_meanwhile_is_no_stranger() -> None:
    state = recorded(stopped(rotated(MASTER1, MASTER2), MASTER3), NEW_RECORD)
    assert not any(refusal.code.startswith("identity") for refusal in refusals(state))
    assert report(SPEC, state, CREATE, forecast(state)).strangers == ()


def test_it_is_accepted_beside_a_master_that_was_away() -> None:
    state = stopped(rotated(MASTER1, MASTER2), MASTER3)
    assert waves(state, intent=accepting(OTHER_CA))[:2] == [[f"StartMaster {MASTER3}"], ["RecordBirth born"]]


def test_a_lost_master_beside_a_rotation_is_no_lost_quorum() -> None:
    """No master counts as healthy under the recorded CA, but those that are left have a quorum."""
    state = with_rotated_ca(lose(healthy(), MASTER3), MASTER1, MASTER2)
    assert codes(state) == ["identity.other"]
    harmless(state)


def test_a_master_is_replaced_after_a_rotation() -> None:
    state = recorded(with_rotated_ca(lose(healthy(), MASTER3), MASTER1, MASTER2), NEW_RECORD)
    assert codes(state) == []
    assert f"JoinControlPlane {MASTER3}" in {step for wave in waves(state) for step in wave}


def test_the_same_uid_alone_makes_no_rotation() -> None:
    """Two clusters that share a UID (of a disk that was copied) and no CA stay two."""
    state = edit_facts(healthy(), MASTER3, lambda f: replace(f, disk=replace(f.disk, server_ca=OTHER_CA)))
    assert codes(disconnected(state, 103)) == ["identity.split"]


def test_a_forced_rotation_is_known_by_the_one_etcd() -> None:
    """`rotate-ca --force` takes a CA that was not made out of the one before."""
    state = edit_facts(healthy(), MASTER3, lambda f: replace(f, disk=replace(f.disk, server_ca=OTHER_CA)))
    assert codes(state) == ["identity.rotating"]
    harmless(state)


def test_the_ca_of_before_with_another_uid_is_another_cluster() -> None:
    state = with_rotated_ca(healthy(), *SPEC.master_names)
    for name in SPEC.master_names:
        state = edit_facts(state, name, lambda f: replace(f, etcd=replace(f.etcd, uid=UID.replace("6", "7"))))
    assert refusals(state)[0].why == "It is another cluster than the one that was initialized here."


# --- workers


def restarts(state: ClusterState) -> dict[str, bool]:
    return {p.step.target: p.step.restart for p in plan(state).steps if isinstance(p.step, PinCa)}


def test_workers_get_the_new_pin_before_their_next_start() -> None:
    assert verbs(plan(accepted()).steps) == [f"PinCa {WORKER1}", f"PinCa {WORKER2}"]
    assert restarts(accepted()) == {WORKER1: False, WORKER2: False}


def test_a_worker_that_waits_with_the_old_pin_is_started_anew() -> None:
    state = pinning(accepted(), WORKER1, CA, waiting=True)
    assert codes(state) == []
    assert restarts(state) == {WORKER1: True, WORKER2: False}
    assert waves(state) == [[f"PinCa {WORKER1}", f"PinCa {WORKER2}"]]


def test_an_agent_that_waits_for_something_else_is_not_restarted() -> None:
    """Its Node is Ready: it waits for the cloud controller, and its pods go on."""
    unit = UnitFacts(active="activating")
    state = edit_facts(accepted(), WORKER1, lambda f: replace(f, agent_unit=unit))
    assert restarts(state) == {WORKER1: False, WORKER2: False}


def test_a_worker_that_was_restarted_with_the_new_pin_is_let_be() -> None:
    state = pinning(pinning(accepted(), WORKER1, OTHER_CA), WORKER2, OTHER_CA)
    state = edit_facts(
        state, WORKER1, lambda f: replace(f, disk=replace(f.disk, agent_ca=OTHER_CA, agent_former_cas=(CA,)))
    )
    assert plan(state).settled


def test_a_pin_is_not_written_on_a_stranger() -> None:
    state = pinning(accepted(), WORKER1, "9" * 64)
    state = edit_facts(state, WORKER1, lambda f: replace(f, disk=replace(f.disk, agent_ca="9" * 64)))
    assert codes(state) == ["identity.agent"]


def test_status_names_no_stranger_after_a_rotation() -> None:
    for state in (accepted(), rotated()):
        assert report(SPEC, state, CREATE, forecast(state)).strangers == ()


@pytest.mark.parametrize("restarted", [SPEC.master_names, (MASTER1,)])
def test_status_tells_a_rotation_from_a_lost_quorum(restarted: tuple[str, ...]) -> None:
    told = report(SPEC, rotated(*restarted), CREATE, forecast(rotated(*restarted)))
    assert told.health is Health.DEGRADED


def test_status_names_workers_that_would_not_start_again() -> None:
    told = report(SPEC, accepted(), CREATE, forecast(accepted())).drift
    assert [(d.code, d.subject) for d in told] == [("token", WORKER1), ("token", WORKER2)]
    assert f"CA {CA[:8]}" in told[0].saw


def test_a_kubeconfig_from_before_the_rotation_is_of_this_cluster() -> None:
    state = pinning(pinning(accepted(), WORKER1, OTHER_CA), WORKER2, OTHER_CA)
    state = replace(state, local=replace(state.local, kubeconfig_ca=CA))
    assert verbs(plan(state).steps) == [f"WriteKubeconfig {SPEC.kubeconfig_path}"]
