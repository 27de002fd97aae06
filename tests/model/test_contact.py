"""How a host is reached, and by which keys it is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.world import MASTER1, NETWORK, SPEC, server_of

from hetzner_k3s.model import lookup
from hetzner_k3s.model.errors import DeadlineExceeded, ExitCode, Fate, HostUnreachable, SshStage
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.hosts.contact import PrivateIps, PublicIps, host_key_label, host_target
from hetzner_k3s.model.kube import KubeNode
from hetzner_k3s.model.naming import LABEL_HOST_KEY_NEXT
from hetzner_k3s.model.state import unseen

SERVER = server_of(SPEC, MASTER1)


def test_a_host_is_reached_at_its_public_address_by_the_keys_that_its_labels_name() -> None:
    target = host_target(SPEC, SERVER, PrivateIps(NETWORK))
    assert target is not None
    assert (target.address, target.port) == (SERVER.public_ipv4, 22)
    assert target.keys == {"boot-101": HostKeyKind.BOOT, "final-101": HostKeyKind.FINAL}


def test_a_key_that_is_being_rolled_in_is_accepted_too() -> None:
    rolling = replace(SERVER, labels={**SERVER.labels, LABEL_HOST_KEY_NEXT: "next-101"})
    target = host_target(SPEC, rolling, PrivateIps(NETWORK))
    assert target is not None
    assert target.keys["next-101"] is HostKeyKind.NEXT


def test_a_host_may_be_reached_at_its_private_address_only() -> None:
    spec = replace(SPEC, ssh=replace(SPEC.ssh, use_private_ip=True))
    target = host_target(spec, SERVER, PrivateIps(NETWORK))
    assert target is not None
    assert target.address == "10.0.0.101"
    assert host_target(spec, SERVER, PrivateIps(None)) is None


def test_without_a_private_network_a_node_is_at_its_public_address_whatever_else_it_is_plugged_into() -> None:
    assert PublicIps().of(SERVER) == SERVER.public_ipv4
    assert PublicIps().of(replace(SERVER, public_ipv4=None)) is None
    assert PrivateIps(NETWORK).of(SERVER) == "10.0.0.101"
    assert PrivateIps(NETWORK + 1).of(SERVER) is None


def test_a_host_without_an_address_is_not_reached() -> None:
    assert host_target(SPEC, replace(SERVER, public_ipv4=None), PrivateIps(NETWORK)) is None


def test_the_label_of_a_host_key_fits_into_a_label() -> None:
    assert len(host_key_label(b"blob")) == 52
    assert host_key_label(b"blob").isalnum()


def test_what_is_no_public_key_has_no_fingerprint() -> None:
    assert lookup.fingerprint("ssh-ed25519") is None
    assert lookup.fingerprint("ssh-ed25519 !!!") is None


@pytest.mark.parametrize(
    ("annotation", "provider_id", "expected"),
    [(7, "hcloud://9", 7), (None, "hcloud://9", 9), (None, "k3s://prod-master1", None), (None, None, None)],
)
def test_a_nodes_machine_is_told_by_our_annotation_or_by_the_cloud_controller(
    annotation: int | None, provider_id: str | None, expected: int | None
) -> None:
    node = KubeNode(name="n", uid="u", ready=True, server_id=annotation, provider_id=provider_id)
    assert node.machine == expected


def test_an_observation_that_listed_nothing_shows_nothing() -> None:
    assert unseen("503", 1.0).view.servers == ()


def test_errors_carry_where_they_happened_and_how_the_run_ends() -> None:
    error = HostUnreachable("no answer", server=MASTER1, stage=SshStage.TCP, fate=Fate.DID_NOT_HAPPEN, hint="look")
    assert (error.server, error.stage, error.fate, error.hint) == (MASTER1, SshStage.TCP, Fate.DID_NOT_HAPPEN, "look")
    assert DeadlineExceeded("late").exit_code is ExitCode.FAILED
