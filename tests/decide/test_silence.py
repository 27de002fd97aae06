"""What a host that cannot be looked at is said to need: SSH, the firewall, or a look at what answers there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.world import MASTER2, WORKER1, disconnected, healthy, plan, unreachable

from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.state import ClusterState

GARBAGE = "it lets this machine in, but Probe failed: unreadable answer: 'Welcome to prod'"


def _closed(state: ClusterState) -> ClusterState:
    """Let the firewall at Hetzner have no rule for SSH."""
    firewalls = tuple(replace(firewall, rules=()) for firewall in state.view.firewalls)
    return state.with_view(replace(state.view, firewalls=firewalls))


def _silent(name: str, stage: SshStage, why: str) -> ClusterState:
    """Have a host that cannot be looked at, and a master whose peers do not hear it either."""
    state = unreachable(healthy(), name, stage, why)
    return disconnected(state, 102) if name == MASTER2 else state


@pytest.mark.parametrize("name", [MASTER2, WORKER1])
@pytest.mark.parametrize(
    ("stage", "why", "advice", "never"),
    [
        (SshStage.TCP, "no answer by SSH within 5 s", "Restore SSH access to it.", "SSH works"),
        (SshStage.SESSION, "connection lost", "Restore SSH access to it.", "SSH works"),
        (SshStage.ANSWER, GARBAGE, "SSH works, so look at what answers there", "Restore SSH access"),
    ],
)
def test_the_advice_fits_what_the_host_did(name: str, stage: SshStage, why: str, advice: str, never: str) -> None:
    (refusal,) = plan(_silent(name, stage, why)).refusals
    assert refusal.code.endswith(".unreachable")
    assert why in refusal.saw
    assert refusal.you_can.startswith(advice)
    assert never not in refusal.you_can
    assert ("hcloud server reboot" in refusal.you_can) == (stage is SshStage.ANSWER)


def test_a_master_that_answers_garbage_may_be_replaced() -> None:
    (refusal,) = plan(_silent(MASTER2, SshStage.ANSWER, GARBAGE)).refusals
    assert GARBAGE in refusal.saw
    assert f"`create --replace {MASTER2}`" in refusal.you_can


@pytest.mark.parametrize(("stage", "firewall"), [(SshStage.TCP, True), (SshStage.ANSWER, False)])
def test_a_firewall_is_not_in_the_way_of_a_host_that_answers(stage: SshStage, firewall: bool) -> None:
    refusals = plan(_closed(_silent(WORKER1, stage, "why"))).refusals
    (advice,) = (refusal.you_can for refusal in refusals if refusal.code == "worker.unreachable")
    assert ("networking.allowed_networks.ssh" in advice) == firewall
