"""What the file asks for and the world does not have is named, with its remedy; a cluster as its file says has none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.decide.world import (
    CREATE,
    MASTER1,
    MASTER2,
    SPEC,
    WORKER1,
    edit_facts,
    edit_server,
    forecast,
    healthy,
    lose,
    nothing,
    unreachable,
    with_listing,
)

from hetzner_k3s.model.cloud import ServerStatus
from hetzner_k3s.model.difference import Difference, Remedy, left_as_it_is
from hetzner_k3s.model.hosts.critical_config import wanted_arguments
from hetzner_k3s.model.state import ClusterState

MASTER = SPEC.masters[0]
WORKER = SPEC.pools[0].workers[0]
LIVE = wanted_arguments(SPEC)


def seen(state: ClusterState) -> set[tuple[str, str, str, str, Remedy]]:
    return {(d.subject, d.field, d.wanted, d.seen, d.remedy) for d in forecast(state).differences}


def test_a_healthy_cluster_has_no_difference() -> None:
    assert seen(healthy()) == set()


def test_what_has_yet_to_be_made_is_no_difference() -> None:
    assert seen(nothing()) == set()
    assert seen(lose(healthy(), MASTER1)) == set()


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        (MASTER1, {"server_type": "cx1"}, ("masters_pool.instance_type", MASTER.instance_type, "cx1", Remedy.RESIZE)),
        (MASTER1, {"location": "nbg1"}, ("masters_pool.locations", MASTER.location, "nbg1", Remedy.REPLACE)),
        (
            WORKER1,
            {"server_type": "cx1"},
            ("worker_node_pools[].instance_type", WORKER.instance_type, "cx1", Remedy.RESIZE),
        ),
        (MASTER1, {"image": ("debian-1", "4")}, ("masters_pool.image", MASTER.image, "debian-1", Remedy.REPLACE)),
        (WORKER1, {"image": ("4",)}, ("worker_node_pools[].image", WORKER.image, "4", Remedy.REPLACE)),
        (WORKER1, {"location": "nbg1"}, ("worker_node_pools[].location", WORKER.location, "nbg1", Remedy.REPLACE)),
    ],
)
def test_a_server_that_was_bought_as_another_one_is_named(
    name: str, change: dict[str, Any], expected: tuple[str, str, str, Remedy]
) -> None:
    assert seen(edit_server(healthy(), name, lambda server: replace(server, **change))) == {(name, *expected)}


@pytest.mark.parametrize("image", [(), (MASTER.image,), ("debian-1", MASTER.image), (MASTER.image, "4")])
def test_an_image_that_is_gone_or_the_same_is_no_difference(image: tuple[str, ...]) -> None:
    assert seen(edit_server(healthy(), MASTER1, lambda server: replace(server, image=image))) == set()


def test_an_id_in_the_file_is_not_compared_with_a_name() -> None:
    spec = replace(SPEC, masters=tuple(replace(master, instance_type="109") for master in SPEC.masters))
    state = edit_server(healthy(), MASTER1, lambda server: replace(server, server_type="cpx22"))
    assert forecast(state, spec).differences == ()


GROUP = SPEC.placement_groups()[0].name
BOTH = frozenset({"ipv4", "ipv6"})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"placement_group": None}, ("placement group", GROUP, "none")),
        ({"placement_group": 21}, ("placement group", GROUP, SPEC.placement_groups()[1].name)),
        ({"public": BOTH - {"ipv4"}}, ("networking.public_network.ipv4", "a public IPv4 address", "none")),
        ({"public": BOTH - {"ipv6"}}, ("networking.public_network.ipv6", "a public IPv6 address", "none")),
    ],
)
@pytest.mark.parametrize("status", [ServerStatus.RUNNING, ServerStatus.STARTING])
def test_what_hetzner_changes_while_a_server_is_off_is_named(
    change: dict[str, Any], expected: tuple[str, str, str], status: ServerStatus
) -> None:
    """One that is being made has no addresses yet."""
    state = edit_server(healthy(), MASTER1, lambda server: replace(server, status=status, **change))
    shown = {(MASTER1, *expected, Remedy.REPLACE)} if status is ServerStatus.RUNNING else set()
    assert seen(state) == shown


def test_public_addresses_that_the_file_does_not_want_are_named() -> None:
    state = edit_server(healthy(), MASTER1, lambda server: replace(server, public=BOTH))
    spec = replace(SPEC, network=replace(SPEC.network, public_ipv6=False))
    (found,) = forecast(state, spec).differences
    assert (found.wanted, found.seen, found.left) == ("none", "a public IPv6 address", True)
    assert "while a server is off" in found.because


@pytest.mark.parametrize(
    ("subnets", "subnet", "differs"),
    [
        (("10.0.0.0/16",), "10.0.0.0/16", False),
        (("10.0.1.0/24",), "10.0.0.0/16", False),
        (("10.0.1.0/24",), "10.0.2.0/24", True),
        (("10.0.0.0/16",), "10.1.0.0/16", True),
    ],
)
def test_a_range_without_a_server_is_named_and_not_let_in(subnets: tuple[str, ...], subnet: str, differs: bool) -> None:
    """Seen: the only step was to open the firewall to a range that no server is in (case 03)."""
    state = healthy()
    networks = tuple(replace(network, subnets=subnets) for network in state.view.networks)
    spec = replace(SPEC, network=replace(SPEC.network, subnet=subnet))
    found = forecast(with_listing(state, networks=networks), spec)
    assert [d.field for d in found.differences] == (["networking.private_network.subnet"] if differs else [])
    assert found.waves == ()


def test_another_release_than_the_files_is_named() -> None:
    state = edit_facts(healthy(), MASTER2, lambda facts: replace(facts, k3s_version="v1.35.9+k3s1"))
    assert seen(state) == {(MASTER2, "k3s_version", str(SPEC.k3s_version), "v1.35.9+k3s1", Remedy.UPGRADE)}


def test_a_kind_of_difference_is_one_sentence() -> None:
    names = [f"m{number}" for number in range(1, 6)]
    found = [
        Difference(subject=name, field="masters_pool.instance_type", wanted="b", seen="a", remedy=Remedy.RESIZE)
        for name in names
    ]
    applied = replace(found[0], remedy=Remedy.APPLY)
    reason = replace(found[0], remedy=Remedy.FIXED, because="masters must agree on it")
    assert left_as_it_is([*found, applied, reason]) == (
        "masters_pool.instance_type: m1, m2, m3 and 2 more have a, the file says b; left as it is: `create` does not "
        "resize a server that runs",
        "masters_pool.instance_type: m1 has a, the file says b; left as it is: masters must agree on it",
    )


def test_the_cloud_controller_is_not_told_of_addresses_that_no_pod_has() -> None:
    spec = replace(SPEC, kubernetes_network=replace(SPEC.kubernetes_network, cluster_cidr="10.99.0.0/16"))
    runs = edit_facts(healthy(), MASTER1, lambda f: replace(f, supervisor=replace(f.supervisor, critical=LIVE)))
    other = replace(CREATE, addons=dict.fromkeys(CREATE.addons, "another digest"))
    assert "ApplyAddons" in {step.key.verb for wave in forecast(runs, SPEC, other).waves for step in wave}
    assert forecast(runs, spec, other).waves == ()
    assert [(d.field, d.remedy) for d in forecast(runs, spec).differences] == [
        ("networking.cluster_cidr", Remedy.FIXED)
    ]


def test_what_is_left_alone_is_told_beside_a_refusal_too() -> None:
    """Seen: with a worker that answered nobody, the reason why a master was left alone was told nowhere."""
    state = unreachable(unreachable(healthy(), MASTER2), WORKER1)
    state = edit_server(state, MASTER1, lambda server: replace(server, server_type="cx1"))
    told = forecast(state)
    assert [refusal.code for refusal in told.refusals] == ["worker.unreachable"]
    assert [sentence.partition(" ")[0] for sentence in told.degraded] == [MASTER2]
    assert [difference.subject for difference in told.differences] == [MASTER1]
